{{- /* The injector's image: repository, then the tag (the version, where neither is given), then the digest. */ -}}
{{- define "hazelcast-sidecar-injector.image" -}}
{{- $tag := .Values.image.tag | default (ternary "" .Chart.AppVersion (not (empty .Values.image.digest))) -}}
{{- .Values.image.repository }}{{ with $tag }}:{{ . }}{{ end }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}
