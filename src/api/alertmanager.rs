//! Alertmanager (`api/v2/openapi.yaml`, `api/v2/api.go` of its source).

use super::{Endpoint, Filter, Form, Methods, Parameter, Refused, Treatment};

const fn parameter(name: &'static str, form: Form) -> Parameter {
    Parameter { name, form }
}

/// The scope is added to the caller's own: all of them must hold.
const FILTER: Parameter = parameter("filter", Form::Matchers);
/// A pattern over the names of receivers.
const RECEIVER: Parameter = parameter("receiver", Form::Plain);
const RECEIVER_MATCHERS: Parameter = parameter("receiver_matchers", Form::Matchers);
// Which states are shown is decided here: what the backend says of a state can be another's doing.
const ACTIVE: Parameter = parameter("active", Form::Applied);
const SILENCED: Parameter = parameter("silenced", Form::Applied);
const INHIBITED: Parameter = parameter("inhibited", Form::Applied);

/// The rows. A static, so that each has one address by which it is told.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        name: "alerts",
        methods: Methods::Get,
        path: "/api/v2/alerts",
        parameters: &[
            FILTER,
            RECEIVER,
            RECEIVER_MATCHERS,
            ACTIVE,
            SILENCED,
            INHIBITED,
            parameter("unprocessed", Form::Applied),
        ],
        treatment: Treatment::Filter(Filter::Alerts),
    },
    Endpoint {
        name: "alert_groups",
        methods: Methods::Get,
        path: "/api/v2/alerts/groups",
        parameters: &[
            FILTER,
            RECEIVER,
            RECEIVER_MATCHERS,
            ACTIVE,
            SILENCED,
            INHIBITED,
            // Time intervals are of the configuration and mute alerts of all.
            parameter("muted", Form::Plain),
        ],
        treatment: Treatment::Filter(Filter::AlertGroups),
    },
    Endpoint {
        name: "silences",
        methods: Methods::Get,
        path: "/api/v2/silences",
        parameters: &[
            // Compared with the silence's own matchers, text by text: no scope can be said in it.
            FILTER,
            parameter("active", Form::Plain),
            parameter("expired", Form::Plain),
            parameter("pending", Form::Plain),
        ],
        treatment: Treatment::Filter(Filter::Silences),
    },
    Endpoint {
        name: "silence_create",
        methods: Methods::PostJson,
        path: "/api/v2/silences",
        parameters: &[],
        treatment: Treatment::Filter(Filter::SilenceWrite),
    },
    Endpoint {
        name: "silence",
        methods: Methods::Get,
        path: "/api/v2/silence/{silence}",
        parameters: &[],
        treatment: Treatment::Filter(Filter::Silence),
    },
    Endpoint {
        name: "silence_expire",
        methods: Methods::Delete,
        path: "/api/v2/silence/{silence}",
        parameters: &[],
        treatment: Treatment::Filter(Filter::SilenceExpire),
    },
    Endpoint {
        name: "receivers",
        methods: Methods::Get,
        path: "/api/v2/receivers",
        parameters: &[parameter(
            "receiver_matchers",
            Form::Refused("is not supported, receivers are those of your alerts"),
        )],
        treatment: Treatment::Filter(Filter::Receivers),
    },
    Endpoint {
        name: "status",
        methods: Methods::Get,
        path: "/api/v2/status",
        parameters: &[],
        treatment: Treatment::Filter(Filter::Version),
    },
];

/// What else Alertmanager registers (`api/api.go`, `api/v2/api.go`, `app/app.go`, `ui/web.go`).
pub static REFUSED: &[Refused] = &[
    Refused { path: "POST /api/v2/alerts", why: "makes alerts for anyone" },
    Refused { path: "/api/v2/swagger.json", why: "describes endpoints that are not served" },
    Refused { path: "/api/v1/*", why: "no longer an API of Alertmanager" },
    Refused { path: "/metrics", why: "about the server and everyone's alerts" },
    Refused { path: "/-/healthy", why: "Palisade has its own" },
    Refused { path: "/-/ready", why: "Palisade has its own" },
    Refused { path: "/-/reload", why: "changes the server" },
    Refused { path: "/debug/*", why: "memory of the server, everyone's alerts among it" },
    Refused { path: "/", why: "the page of Alertmanager asks for its configuration" },
    Refused { path: "/assets/*", why: "parts of that page" },
    Refused { path: "/favicon.ico", why: "a part of that page" },
];
