{{- define "palisade.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "palisade.fullname" -}}
{{- $name := include "palisade.name" . }}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "palisade.serviceAccount" -}}
{{- default (ternary (include "palisade.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "palisade.selector" -}}
app.kubernetes.io/name: {{ include "palisade.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "palisade.labels" -}}
{{ include "palisade.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "palisade.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- /* The port of an address, `0.0.0.0:8080` or `[::]:8080`. */}}
{{- define "palisade.port" -}}
{{- regexFind "[0-9]+$" . }}
{{- end }}

{{- /* The port that a URL is reached on. */}}
{{- define "palisade.urlPort" -}}
{{- $url := urlParse . }}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" }}
{{- default (ternary "443" "80" (eq $url.scheme "https")) $port }}
{{- end }}

{{- /*
The listeners, as JSON: each with its `service`, `suffix` of names, `port`, `scheme`, and the `name` of its port. Names
begin with the protocol, by which Istio knows it, and have 15 characters at most.
*/}}
{{- define "palisade.listeners" -}}
{{- $all := list }}
{{- $taken := dict }}
{{- range $listener := .Values.config.listen }}
{{- $scheme := ternary "https" "http" (hasKey $listener "tls") }}
{{- $suffix := default "" $listener.backend }}
{{- if hasKey $taken $suffix }}{{ fail (printf "config.listen: two listeners for %s" (default "every backend" $suffix)) }}{{ end }}
{{- $_ := set $taken $suffix true }}
{{- $service := ternary (printf "%s-%s" (include "palisade.fullname" $) $suffix) (include "palisade.fullname" $) (ne $suffix "") }}
{{- $name := ternary (printf "%s-%s" $scheme $suffix) $scheme (ne $suffix "") | trunc 15 | trimSuffix "-" }}
{{- $port := include "palisade.port" $listener.address | int }}
{{- $all = append $all (dict "service" $service "suffix" $suffix "port" $port "scheme" $scheme "name" $name) }}
{{- end }}
{{- toJson $all }}
{{- end }}

{{- /* The listener of `suffix` among `root`'s, as JSON. */}}
{{- define "palisade.listener" -}}
{{- $found := dict }}
{{- range include "palisade.listeners" .root | fromJsonArray }}
{{- if eq .suffix $.suffix }}{{ $found = . }}{{ end }}
{{- end }}
{{- if not $found }}{{ fail (printf "config.listen has no listener %s" (ternary "without a backend" (printf "for backend %s" .suffix) (eq .suffix ""))) }}{{ end }}
{{- toJson $found }}
{{- end }}

{{- define "palisade.config" -}}
{{- if not .Values.config.issuers }}{{ fail "config.issuers: whose tokens are taken" }}{{ end }}
{{- if not .Values.config.backends }}{{ fail "config.backends: what is served" }}{{ end }}
{{- $config := deepCopy .Values.config }}
{{- $_ := set $config "policies" "policies" }}
{{- if .Values.cacheSalt.existingSecret }}
{{- $_ := set $config "cache_salt_file" (printf "cache-salt/%s" .Values.cacheSalt.key) }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{- /* What is mounted as /etc/palisade: one volume, so that a change of configuration and policies comes at once. */}}
{{- define "palisade.volumes" -}}
{{- $name := include "palisade.fullname" . }}
- name: config
  projected:
    sources:
      - {{ ternary "secret" "configMap" (eq .Values.configKind "Secret") }}:
          name: {{ default (printf "%s-config" $name) .Values.existingConfig }}
          items:
            - { key: palisade.yaml, path: palisade.yaml }
      - configMap:
          name: {{ default (printf "%s-policies" $name) .Values.existingPolicies.name }}
          items:
            {{- if .Values.existingPolicies.name }}
            {{- range .Values.existingPolicies.files }}
            - { key: {{ . | quote }}, path: {{ printf "policies/%s" . | quote }} }
            {{- else }}{{ fail "existingPolicies.files: which keys of the config map are policies" }}
            {{- end }}
            {{- else }}
            {{- range $key, $_ := include "palisade.policies" . | fromYaml }}
            - { key: {{ $key }}, path: policies/{{ $key }} }
            {{- end }}
            {{- end }}
      {{- with .Values.cacheSalt }}
      {{- if .existingSecret }}
      - secret:
          name: {{ .existingSecret }}
          items:
            - { key: {{ .key }}, path: cache-salt/{{ .key }} }
      {{- end }}
      {{- end }}
      {{- range $secret := .Values.secrets }}
      - secret:
          name: {{ $secret.name }}
          items:
            {{- range $secret.keys }}
            - { key: {{ . | quote }}, path: {{ printf "%s/%s" $secret.path . | quote }} }
            {{- end }}
      {{- end }}
- name: run
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
{{- end }}

{{- /* Files of policies and cases by name, as YAML. */}}
{{- define "palisade.policies" -}}
{{- $files := dict }}
{{- range $name, $policy := .Values.policies }}
{{- $_ := set $files (printf "%s.yaml" $name) (toYaml (dict "rules" $policy.rules)) }}
{{- if $policy.cases }}
{{- $_ := set $files (printf "%s.cases.yaml" $name) (toYaml (pick $policy "backends" "cases")) }}
{{- end }}
{{- else }}
{{- $_ := set $files "none.yaml" "rules: []" }}
{{- end }}
{{- toYaml $files }}
{{- end }}

{{- /* Labels of the pods of one release, for a selector. */}}
{{- define "palisade.pods" -}}
matchLabels:
  {{- include "palisade.selector" . | nindent 2 }}
  app.kubernetes.io/component: proxy
{{- end }}
