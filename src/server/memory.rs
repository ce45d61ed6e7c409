//! How much memory the process may have.

use std::path::{Path, PathBuf};

/// Of a machine where nothing says how much the process may have.
const UNLIMITED: u64 = 1024 * 1024 * 1024;
/// What callers may make the process take of what it may have, in percent. The rest is for code, stacks, connections
/// and what the allocator keeps.
const CALLERS_PERCENT: u64 = 60;

/// Bytes that callers may make the process take unless that is configured.
pub(super) fn default() -> usize {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = limit(Path::new("/sys/fs/cgroup"), &own).unwrap_or(UNLIMITED);
    usize::try_from(limit / 100 * CALLERS_PERCENT).unwrap_or(usize::MAX)
}

/// The smallest limit of the control groups that `own` names (`cgroups(7)`, /proc/PID/cgroup) and of those around
/// them, below the folder `root`; `None`: they have none. Where a container has a name space of its own, its group is
/// the root.
fn limit(root: &Path, own: &str) -> Option<u64> {
    let groups = own.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let path = path.trim_start_matches('/');
        match controllers {
            "" => Some((root.to_owned(), path, "memory.max")),
            list if list.split(',').any(|controller| controller == "memory") => {
                Some((root.join("memory"), path, "memory.limit_in_bytes"))
            }
            _ => None,
        }
    });
    let read = |file: PathBuf| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    let limits = groups.flat_map(|(root, path, file)| {
        let around: Vec<_> = Path::new(path).ancestors().map(|group| root.join(group).join(file)).collect();
        around.into_iter().filter_map(read)
    });
    // What an older kernel says of no limit is more than there is.
    limits.min().filter(|bytes| *bytes < 1 << 60)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_of_all_groups_around_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |group: &str, file: &str, text: &str| {
            let folder = root.path().join(group);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(file), text).unwrap();
        };
        let limit = |own: &str| limit(root.path(), own);
        assert_eq!(limit("0::/\n"), None);
        write("", "memory.max", "max\n");
        assert_eq!(limit("0::/\n"), None);
        write("a/b", "memory.max", "4096\n");
        write("a", "memory.max", "8192\n");
        assert_eq!(limit("0::/a\n"), Some(8192));
        assert_eq!(limit("0::/a/b\n"), Some(4096));
        assert_eq!(limit("0::/a/b/c\n"), Some(4096));
        write("a", "memory.max", "1024\n");
        assert_eq!(limit("0::/a/b\n"), Some(1024));
        write("memory/x", "memory.limit_in_bytes", "512\n");
        write("memory", "memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(limit("3:cpu,memory:/x\n0::/none\n"), Some(512));
        assert_eq!(limit("3:cpu,memory:/y\n"), None);
        assert_eq!(limit("nonsense"), None);
    }
}
