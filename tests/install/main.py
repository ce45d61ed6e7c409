"""Every check of what deploy/ installs, one line each; `run` beside this file installs what they need."""

import sys
import traceback

import chart
import platform_charts
import kustomize
from render import Failed


def main():
    if "--update" in sys.argv:
        kustomize.update()
    passed, failed = 0, 0
    for module in (chart, platform_charts, kustomize):
        for name, check in module.checks():
            try:
                check()
                passed += 1
            except (Failed, AssertionError, KeyError, StopIteration) as fault:
                failed += 1
                reason = str(fault) if isinstance(fault, Failed) else traceback.format_exc()
                print(f"FAILED {name}: {reason}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
