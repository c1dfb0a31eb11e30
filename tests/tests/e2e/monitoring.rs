//! The dashboard and the alerts in packaging/monitoring ask for metrics that the server has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{Launch, build::root};
use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};
use serde_json::Value;

/// The labels of each metric, with all their values.
type Metrics = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// What the server answers to Prometheus.
fn metrics() -> Metrics {
    let server = Launch::new("counter").admin().start();
    let until = Instant::now() + Duration::from_secs(60);
    let text = loop {
        let text = server.ask("/metrics").body;
        // They are counted in the background.
        if text.contains("lemon_session_sessions_live ") && text.contains("lemon_session_cleanup_backlog ") {
            break text;
        }
        assert!(Instant::now() < until, "the sessions are not counted: {text}");
        thread::sleep(Duration::from_millis(20));
    };
    let mut metrics = Metrics::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Ok(Expr::VectorSelector(VectorSelector { name: Some(name), matchers, .. })) =
            parser::parse(line.rsplit_once(' ').expect("a metric has a value").0)
        else {
            panic!("not a metric: {line}");
        };
        let labels = metrics.entry(name).or_default();
        for label in matchers.matchers {
            labels.entry(label.name).or_default().insert(label.value);
        }
    }
    metrics
}

/// Finds what an expression asks for and the server does not have.
struct Check<'a> {
    metrics: &'a Metrics,
    expression: &'a str,
    selected: usize,
}

impl Check<'_> {
    fn selector(&mut self, selector: &VectorSelector) {
        let name = selector.name.as_deref().expect("a selector names its metric");
        self.selected += 1;
        // Prometheus makes it for each server.
        if name == "up" {
            return;
        }
        let labels = self.metrics.get(name).unwrap_or_else(|| panic!("no metric {name}: {}", self.expression));
        for Matcher { op, name: label, value } in &selector.matchers.matchers {
            // Prometheus adds these.
            if ["job", "instance"].contains(&label.as_str()) {
                continue;
            }
            let values =
                labels.get(label).unwrap_or_else(|| panic!("{name} has no label {label}: {}", self.expression));
            assert!(matches!(op, MatchOp::Equal | MatchOp::Re(_)), "{}", self.expression);
            for value in value.split('|') {
                assert!(values.contains(value), "{name} has no {label}=\"{value}\": {}", self.expression);
            }
        }
    }
}

impl ExprVisitor for Check<'_> {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Self::Error> {
        match expression {
            Expr::VectorSelector(selector) => self.selector(selector),
            Expr::MatrixSelector(range) => self.selector(&range.vs),
            _ => {}
        }
        Ok(true)
    }
}

fn check(metrics: &Metrics, expression: &str) {
    let parsed = parser::parse(&expression.replace("$__rate_interval", "5m"));
    let parsed = parsed.unwrap_or_else(|error| panic!("{error}: {expression}"));
    let mut check = Check { metrics, expression, selected: 0 };
    walk_expr(&mut check, &parsed).expect("cannot fail");
    assert!(check.selected > 0, "it asks for nothing: {expression}");
}

fn file(name: &str) -> String {
    fs::read_to_string(root().join("packaging/monitoring").join(name)).expect("the file is there")
}

#[test]
fn the_dashboard_shows_metrics_that_the_server_has() {
    let (metrics, text) = (metrics(), file("dashboard.json"));
    let dashboard: Value = serde_json::from_str(&text).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().expect("a panel has targets")) {
        check(&metrics, target["expr"].as_str().expect("a target has an expression"));
    }
    for annotation in dashboard["annotations"]["list"].as_array().expect("it has annotations") {
        check(&metrics, annotation["expr"].as_str().expect("an annotation has an expression"));
    }
    // No metric is forgotten.
    for name in metrics.keys().filter(|name| !name.ends_with("_sum") && !name.ends_with("_count")) {
        // When a cleanup ran last is no curve.
        assert!(text.contains(name) || name.ends_with("_timestamp_seconds"), "{name} is on no panel");
    }
}

#[derive(serde::Deserialize)]
struct Alerts {
    groups: Vec<Group>,
}

#[derive(serde::Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(serde::Deserialize)]
struct Rule {
    alert: String,
    expr: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

#[test]
fn the_alerts_watch_metrics_that_the_server_has() {
    let metrics = metrics();
    let alerts: Alerts = serde_saphyr::from_str(&file("alerts.yml")).expect("it is a file of rules");
    let rules = alerts.groups.into_iter().flat_map(|group| group.rules).collect::<Vec<_>>();
    assert!(rules.len() > 5);
    for rule in rules {
        check(&metrics, &rule.expr);
        assert!(["critical", "warning"].contains(&rule.labels["severity"].as_str()), "{}", rule.alert);
        assert!(
            rule.annotations.contains_key("summary") && rule.annotations.contains_key("description"),
            "{}",
            rule.alert
        );
    }
}
