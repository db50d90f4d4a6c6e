"""The mistakes that are planted, by the rule that has to find them."""

from tests.deploy.mistakes import (
    POD,
    SERVER,
    Mistake,
    annotation,
    at,
    both,
    deployment,
    misspelt,
    setting,
    without,
)

_SHAPE = {
    "objects_have_their_schema": [
        Mistake(
            "an interface that was removed",
            "HorizontalPodAutoscaler",
            at("apiVersion", "autoscaling/v2beta2"),
            "hpa",
            "Couldn't find schema",
        ),
        deployment(
            "a misspelt probe", misspelt(SERVER + "readinessProbe", "readynessProbe"), says="readynes"
        ),
        deployment("a port in quotes", at(SERVER + "ports.0.containerPort", "8000"), says="containerPort"),
        Mistake(
            "a misspelt selector of namespaces",
            "NetworkPolicy",
            misspelt("spec.ingress.0.from.0.namespaceSelector", "namespaceSelectr"),
            "networkpolicy",
            "namespaceSelectr",
        ),
        Mistake(
            "a word for a number", "ScaledObject", at("spec.maxReplicaCount", "ten"), "keda", "maxReplica"
        ),
        Mistake("nothing to scale", "ScaledObject", without("spec.scaleTargetRef"), "keda", "scaleTargetRef"),
        Mistake(
            "a misspelt field of KEDA",
            "ScaledObject",
            misspelt("spec.pollingInterval", "pollInterval"),
            "keda",
            "pollInterval: no such field",
        ),
        Mistake(
            "a misspelt field of the Gateway API",
            "HTTPRoute",
            misspelt("spec.rules.0.timeouts.backendRequest", "backend"),
            "gateway",
            "backend",
        ),
        Mistake(
            "a duration without unit",
            "HTTPRoute",
            at("spec.rules.0.timeouts.request", "310"),
            "gateway",
            "timeouts.request",
        ),
        Mistake(
            "a misspelt interval",
            "ServiceMonitor",
            misspelt("spec.endpoints.0.interval", "intervall"),
            "monitoring",
            "intervall: no such field",
        ),
        Mistake("no way to scrape", "ServiceMonitor", without("spec.endpoints"), "monitoring", "endpoints"),
        Mistake(
            "a rule without expression",
            "PrometheusRule",
            without("spec.groups.0.rules.0.expr"),
            "monitoring",
            "expr",
        ),
    ],
    "quantities_parse": [
        deployment("gigabytes with a B", at(SERVER + "resources.limits.memory", "2GB"), says="'2GB'"),
        Mistake(
            "a word for a quantity",
            "HorizontalPodAutoscaler",
            at("spec.metrics.0.pods.target.averageValue", "lots"),
            "hpa",
            "'lots'",
        ),
        deployment("a bound in words", at(POD + "volumes.0.emptyDir.sizeLimit", "small"), says="'small'"),
    ],
    "resources_are_bounded": [
        deployment("no limits", without(SERVER + "resources.limits")),
        deployment("memory that is lent", at(SERVER + "resources.requests.memory", "1Gi"), says="1Gi"),
        deployment(
            "an init step without bounds",
            without(POD + "initContainers.0.resources"),
            "model-volume",
            "verify-models",
        ),
    ],
    "settings_are_valid": [
        setting("a misspelt setting", "VERTO_MAX_ROW", "64", "VERTO_MAX_ROW is no setting"),
        setting("minutes for seconds", "VERTO_DRAIN_TIMEOUT_SECONDS", "5m", "drain_timeout_seconds"),
        setting("too few rows", "VERTO_MAX_ROWS", "1", "max_rows"),
        deployment(
            "a misspelt setting of the Deployment",
            at(SERVER + "env", [{"name": "VERTO_THREADS", "value": "2"}]),
            says="VERTO_THREADS",
        ),
    ],
}

_SECURITY = {
    "pods_are_restricted": [
        deployment("the root user", at(POD + "securityContext.runAsUser", 0), says="runAsUser is 0"),
        deployment("perhaps the root user", without(POD + "securityContext.runAsNonRoot"), says="NonRoot"),
        deployment(
            "the root user in the container",
            at(SERVER + "securityContext.runAsNonRoot", False),
            says="NonRoot",
        ),
        deployment("no seccomp profile", without(POD + "securityContext.seccompProfile"), says="seccomp"),
        deployment("rights that grow", without(SERVER + "securityContext.allowPrivilegeEscalation")),
        deployment("capabilities kept", without(SERVER + "securityContext.capabilities"), says="not dropped"),
        deployment(
            "a capability added",
            at(SERVER + "securityContext.capabilities.add", ["SYS_ADMIN"]),
            says="SYS_ADMIN",
        ),
        deployment("all rights", at(SERVER + "securityContext.privileged", True), says="privileged"),
        deployment("the node's network", at(POD + "hostNetwork", True), says="hostNetwork"),
        deployment("the node's processes", at(POD + "hostPID", True), says="hostPID"),
        deployment("a port of the node", at(SERVER + "ports.0.hostPort", 80), says="hostPort"),
        deployment(
            "the node's disk",
            at(POD + "volumes.0", {"name": "tmp", "hostPath": {"path": "/var"}}),
            says="hostPath",
        ),
        deployment(
            "an init step with capabilities",
            without(POD + "initContainers.0.securityContext.capabilities"),
            "model-volume",
            "verify-models",
        ),
    ],
    "pods_are_closed": [
        deployment("a root that may be written", without(SERVER + "securityContext.readOnlyRootFilesystem")),
        deployment(
            "models that may be written",
            without(SERVER + "volumeMounts.0.readOnly"),
            "model-volume",
            "/models may be written",
        ),
        deployment("a volume without bound", at(POD + "volumes.0.emptyDir", {}), says="no sizeLimit"),
        deployment("nothing to write to", at(SERVER + "volumeMounts.0.mountPath", "/scratch"), says="/tmp"),
        deployment("a token", at(POD + "automountServiceAccountToken", True), says="Token"),
        deployment("variables of Services", without(POD + "enableServiceLinks"), says="enableServiceLinks"),
    ],
}

_REFERENCES = {
    "deployments_select_their_pods": [
        deployment(
            "a selector of others", at("spec.selector.matchLabels", {"app.kubernetes.io/name": "vetro"})
        ),
    ],
    "selectors_find_something": [
        Mistake("a Service of nobody", "Service", at("spec.selector", {"app": "verto"})),
        Mistake(
            "a budget of nobody", "PodDisruptionBudget", at("spec.selector.matchLabels", {"app": "verto"})
        ),
        Mistake("a policy of everybody", "NetworkPolicy", at("spec.podSelector", {}), "networkpolicy"),
        Mistake(
            "a monitor of nobody",
            "ServiceMonitor",
            at("spec.selector.matchLabels", {"app": "verto"}),
            "monitoring",
        ),
    ],
    "spread_counts_the_same_pods": [
        deployment(
            "a spread that counts others",
            at(POD + "topologySpreadConstraints.0.labelSelector.matchLabels", {"app": "verto"}),
        ),
    ],
    "ports_exist": [
        Mistake(
            "a scrape of another port", "ServiceMonitor", at("spec.endpoints.0.port", "web"), "monitoring"
        ),
        Mistake(
            "a target port of nobody", "Service", at("spec.ports.0.targetPort", "web"), says="targetPort"
        ),
        deployment("a probe at a port of nobody", at(SERVER + "livenessProbe.httpGet.port", "admin")),
        Mistake(
            "a policy for the Service's port",
            "NetworkPolicy",
            at("spec.ingress.0.ports.0.port", 80),
            "networkpolicy",
        ),
    ],
    "config_exists": [
        deployment("a config map of nobody", at(SERVER + "envFrom.0.configMapRef.name", "verto")),
        deployment("an account of nobody", at(POD + "serviceAccountName", "default"), says="default"),
        deployment(
            "a secret that must be there",
            at(
                SERVER + "env",
                [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "verto-admin", "key": "x"}}}],
            ),
            says="must be optional",
        ),
    ],
    "volumes_exist": [
        Mistake("a claim of nobody", "PersistentVolumeClaim", at("metadata.name", "models"), "model-volume"),
        deployment("a volume of nobody", at(POD + "volumes", [])),
    ],
    "ways_in_lead_to_the_service": [
        Mistake(
            "a way in to another Service",
            "Ingress",
            at("spec.rules.0.http.paths.0.backend.service.name", "verto-web"),
            "ingress",
        ),
        Mistake(
            "a route to another port", "HTTPRoute", at("spec.rules.0.backendRefs.0.port", 8000), "gateway"
        ),
    ],
}

_LIFE = {
    "drain_outlasts_the_longest_translation": [
        deployment("a short grace", at(POD + "terminationGracePeriodSeconds", 30), says="killed after 30 s"),
        deployment("no grace", without(POD + "terminationGracePeriodSeconds"), says="killed after 30 s"),
        deployment("no sleep before SIGTERM", without(SERVER + "lifecycle"), says="preStop sleeps 0 s"),
        setting("connections that stay", "VERTO_DRAIN_DELAY_SECONDS", "0", "leaves for 0 s"),
        setting("translations longer than the drain", "VERTO_MAX_TIMEOUT_SECONDS", "600", "drains 310 s"),
        Mistake(
            "the drain of the defaults",
            "ConfigMap",
            without("data.VERTO_DRAIN_TIMEOUT_SECONDS"),
            says="drains 60 s",
        ),
    ],
    "probes_are_declared": [
        deployment("a probe of another server", at(SERVER + "startupProbe.httpGet.path", "/healthz")),
        deployment("no liveness probe", without(SERVER + "livenessProbe"), says="livenessProbe"),
        deployment(
            "readiness for liveness",
            at(SERVER + "livenessProbe.httpGet.path", "/health/ready"),
            says="liveness",
        ),
    ],
    "metrics_are_scraped_where_they_are": [
        Mistake("a misspelt page", "ServiceMonitor", at("spec.endpoints.0.path", "/metric"), "monitoring"),
    ],
    "a_start_is_waited_for": [
        deployment("a rollout given up during a start", at("spec.progressDeadlineSeconds", 60)),
        deployment("a start that is not waited for", at(SERVER + "startupProbe.failureThreshold", 3)),
        deployment(
            "killed at once", at(SERVER + "livenessProbe.failureThreshold", 1), says="is killed before"
        ),
    ],
    "rollout_keeps_capacity": [
        deployment(
            "a rollout that takes capacity away",
            at("spec.strategy.rollingUpdate", {"maxSurge": 0, "maxUnavailable": 1}),
        ),
        deployment(
            "a rollout that waits for a spare GPU",
            at("spec.strategy.rollingUpdate", {"maxSurge": 1, "maxUnavailable": 0}),
            overlay="gpu",
        ),
        deployment("no way back", at("spec.revisionHistoryLimit", 0), says="roll back"),
    ],
    "budgets_say_one_bound": [
        Mistake("two bounds", "PodDisruptionBudget", at("spec.minAvailable", 1)),
        Mistake("no drain ever", "PodDisruptionBudget", at("spec.maxUnavailable", 0), says="drained"),
    ],
}

_SENSE = {
    "images_are_pinned": [
        deployment("an image that moves", at(SERVER + "image", "verto:latest")),
        deployment("an image without tag", at(SERVER + "image", "registry.example.com:5000/verto")),
        deployment("an old image", at(SERVER + "image", "verto:0.0.9"), says="not of version"),
    ],
    "threads_fit_the_processors": [
        deployment(
            "a processor and a half",
            both(
                at(SERVER + "resources.requests.cpu", "1500m"), at(SERVER + "resources.limits.cpu", "1500m")
            ),
        ),
        deployment("processors that are lent", at(SERVER + "resources.requests.cpu", "1"), says="limit 2"),
        setting("more threads than processors", "VERTO_NUM_THREADS", "8", "8 threads"),
    ],
    "memory_fits": [setting("a cache beyond the memory", "VERTO_CACHE_BYTES_LIMIT", "2000000000")],
    "server_listens_where_it_is_asked": [
        setting("a server that hears only itself", "VERTO_HOST", "127.0.0.1", "127.0.0.1"),
        setting("a server at another port", "VERTO_PORT", "9000", "9000"),
    ],
    "autoscalers_have_room": [
        Mistake("no room", "HorizontalPodAutoscaler", at("spec.minReplicas", 20), "hpa"),
        Mistake("no room for KEDA", "ScaledObject", at("spec.minReplicaCount", 20), "keda"),
    ],
    "autoscalers_decide": [
        Mistake(
            "an autoscaler of nobody",
            "HorizontalPodAutoscaler",
            at("spec.scaleTargetRef.name", "vetro"),
            "hpa",
        ),
        deployment("a number beside an autoscaler", at("spec.replicas", 2), "keda", "replicas"),
    ],
    "autoscalers_ask_for_the_backlog": [
        Mistake(
            "a misspelt metric",
            "HorizontalPodAutoscaler",
            at("spec.metrics.0.pods.metric.name", "verto_backlog_second"),
            "hpa",
        ),
        Mistake(
            "a query for another metric",
            "ScaledObject",
            at("spec.triggers.0.metadata.query", "sum(verto_queue)"),
            "keda",
        ),
    ],
    "policies_are_spelt_right": [
        Mistake(
            "a misspelt type",
            "NetworkPolicy",
            at("spec.policyTypes.0", "Ingres"),
            "networkpolicy",
            "'Ingres'",
        ),
        Mistake(
            "a misspelt protocol",
            "NetworkPolicy",
            at("spec.ingress.0.ports.0.protocol", "TCPP"),
            "networkpolicy",
            "'TCPP'",
        ),
    ],
    "policies_name_who_may_come_in": [
        Mistake("everybody let in", "NetworkPolicy", without("spec.ingress.0.from"), "networkpolicy"),
        Mistake("every port let in", "NetworkPolicy", without("spec.ingress.1.ports"), "networkpolicy"),
        Mistake(
            "one way open", "NetworkPolicy", at("spec.policyTypes", ["Ingress"]), "networkpolicy", "Egress"
        ),
    ],
    "clients_reach_what_is_theirs": [
        Mistake(
            "everything let in",
            "Ingress",
            at("spec.rules.0.http.paths.0.pathType", "Prefix"),
            "ingress",
            "/metrics is open",
        ),
        Mistake(
            "administration let in",
            "HTTPRoute",
            at("spec.rules.0.matches.0.path", {"type": "PathPrefix", "value": "/v1"}),
            "gateway",
            "/v1/admin/models is open",
        ),
        Mistake(
            "translation not let in",
            "Ingress",
            at("spec.rules.0.http.paths.4.path", "/v1/translations"),
            "ingress",
            "/v1/translate is not let in",
        ),
    ],
    "ways_in_let_streams_through": [
        annotation("streams buffered", "proxy-buffering", "on"),
        annotation("streams cut", "proxy-read-timeout", "60"),
        annotation("bodies cut", "proxy-body-size", "1m"),
        Mistake(
            "streams cut by a gateway",
            "HTTPRoute",
            at("spec.rules.0.timeouts", {}),
            "gateway",
            "timeout request",
        ),
    ],
}

MISTAKES = {**_SHAPE, **_SECURITY, **_REFERENCES, **_LIFE, **_SENSE}
