{{/* The processes, each by the key of its values. */}}
{{- define "smartrecover.processes" -}}
riskApi: {component: risk-api, database: risk, program: risk-assessment, command: serve, port: 8001, portName: http, path: /risk-service}
debtApi: {component: debt-api, database: debt, program: debt-processing, command: serve, port: 8002, portName: http, path: /debt-service}
dispatcher: {component: dispatcher, database: risk, program: risk-assessment, command: dispatch, port: 9101, portName: metrics}
consumer: {component: consumer, database: debt, program: debt-processing, command: consume, port: 9101, portName: metrics}
{{- end }}

{{- define "smartrecover.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{- define "smartrecover.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "smartrecover.labels" -}}
{{ include "smartrecover.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "smartrecover.image" -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- end }}

{{- define "smartrecover.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "smartrecover.containerSecurity" -}}
runAsNonRoot: true
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* The URL of a service's own database; takes the database's name and the secret that holds the URL. */}}
{{- define "smartrecover.databaseUrl" -}}
- name: {{ upper .database }}_DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ .secret.existingSecret }}, key: {{ .secret.key }}}
{{- end }}

{{/* A rule of a NetworkPolicy; takes CIDRs and a port. Without CIDRs there is none: an empty list would mean everywhere. */}}
{{- define "smartrecover.egress" -}}
{{- with .cidrs -}}
- to:
    {{- range . }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  ports:
    - {protocol: TCP, port: {{ $.port }}}
{{- end }}
{{- end }}

{{/* Variables from a map. As JSON, because a large number would turn into 1e+06. */}}
{{- define "smartrecover.variables" -}}
{{- range $name, $value := . }}
- {name: {{ $name }}, value: {{ if kindIs "string" $value }}{{ quote $value }}{{ else }}{{ toJson $value | quote }}{{ end }}}
{{- end }}
{{- end }}

{{- define "smartrecover.scheduling" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.scheduling.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.scheduling.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.scheduling.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
