//! What a server counts, as its /metrics tell.

use std::collections::HashMap;

/// The values of one reading by their series: `http_requests_total{status="2xx"}`, without the prefix that all names have.
#[derive(Clone, Debug, Default)]
pub struct Reading(HashMap<String, f64>);

const PREFIX: &str = "lemon_session_";

impl Reading {
    /// Reads the text format of Prometheus. Lines that this version does not know are kept, but asked for by nobody.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.strip_prefix(PREFIX)?.rsplit_once(' '));
        Self(lines.filter_map(|(series, value)| Some((series.to_owned(), value.parse().ok()?))).collect())
    }

    /// The value of a series.
    pub fn get(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// The sum of all series of a metric.
    pub fn sum(&self, name: &str) -> f64 {
        let own =
            |series: &str| series.strip_prefix(name).is_some_and(|labels| labels.is_empty() || labels.starts_with('{'));
        self.0.iter().filter(|(series, _)| own(series)).map(|(_, value)| value).sum()
    }

    /// The version of the server: the label of `build_info`.
    pub fn version(&self) -> Option<&str> {
        self.0.keys().find_map(|series| series.strip_prefix("build_info{version=\"")?.strip_suffix("\"}"))
    }

    /// What was counted between an earlier reading and this one. Of counters that were set back, as the server was started
    /// again, all of the new value is counted.
    pub fn since(&self, earlier: &Self) -> Self {
        let difference = |(series, value): (&String, &f64)| {
            let before = earlier.get(series).filter(|before| before <= value).unwrap_or(0.0);
            (series.clone(), value - before)
        };
        Self(self.0.iter().map(difference).collect())
    }

    /// Adds what another server counted.
    pub fn add(&mut self, other: &Self) {
        for (series, value) in &other.0 {
            *self.0.entry(series.clone()).or_default() += value;
        }
    }

    /// The quantile `q` of a histogram, estimated as Prometheus does: within a bucket, all values are equally likely. `labels`
    /// are those before `le`, each with a comma behind it. `None` if nothing was observed.
    pub fn quantile(&self, q: f64, name: &str, labels: &str) -> Option<f64> {
        let prefix = format!("{name}_bucket{{{labels}le=\"");
        let mut buckets: Vec<(f64, f64)> = self
            .0
            .iter()
            .filter_map(|(series, count)| {
                let le = series.strip_prefix(&prefix)?.strip_suffix("\"}")?;
                // Parses "+Inf" too.
                Some((le.parse().ok()?, *count))
            })
            .collect();
        buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let total = buckets.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
        let rank = q * total;
        let (mut below, mut counted) = (0.0, 0.0);
        for (le, count) in buckets {
            if count >= rank {
                if le.is_infinite() || count <= counted {
                    return Some(below);
                }
                return Some(below + (le - below) * (rank - counted) / (count - counted));
            }
            (below, counted) = (le, count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP lemon_session_saves_total Saves.
# TYPE lemon_session_saves_total counter
lemon_session_saves_total{outcome=\"committed\"} 10
lemon_session_saves_total{outcome=\"failed\"} 2
lemon_session_saves_totals 99
lemon_session_sessions_live 7
lemon_session_build_info{version=\"1.2.3\"} 1
lemon_session_broken x
other 5
";

    #[test]
    fn series_are_read_by_name_and_summed_by_metric() {
        let reading = Reading::parse(TEXT);
        assert_eq!(reading.get("sessions_live"), Some(7.0));
        assert_eq!(reading.get("saves_total{outcome=\"failed\"}"), Some(2.0));
        assert_eq!(reading.sum("saves_total"), 12.0);
        assert_eq!(reading.version(), Some("1.2.3"));
        assert_eq!((reading.get("broken"), reading.get("other")), (None, None));
    }

    #[test]
    fn a_server_that_was_started_again_counts_from_zero() {
        let reading = |saves: u32| Reading::parse(&format!("lemon_session_saves_total {saves}\n"));
        assert_eq!(reading(12).since(&reading(10)).sum("saves_total"), 2.0);
        assert_eq!(reading(3).since(&reading(10)).sum("saves_total"), 3.0);
        assert_eq!(reading(3).since(&Reading::default()).sum("saves_total"), 3.0);
    }

    #[test]
    fn quantiles_are_estimated_within_their_bucket() {
        let reading = |counts: [u32; 3]| {
            let lines = ["0.1", "0.2", "+Inf"].into_iter().zip(counts);
            let lines =
                lines.map(|(le, n)| format!("lemon_session_time_bucket{{operation=\"load\",le=\"{le}\"}} {n}\n"));
            Reading::parse(&lines.collect::<String>())
        };
        let quantile = |counts, q| reading(counts).quantile(q, "time", "operation=\"load\",");
        let close = |quantile: Option<f64>, to: f64| quantile.is_some_and(|quantile| (quantile - to).abs() < 1e-9);
        assert!(close(quantile([10, 20, 20], 0.5), 0.1));
        assert!(close(quantile([10, 20, 20], 0.75), 0.15));
        assert!(close(quantile([10, 20, 20], 0.05), 0.01));
        // Beyond the last bucket, its bound is all that is known.
        assert!(close(quantile([0, 0, 5], 0.99), 0.2));
        assert_eq!(quantile([0, 0, 0], 0.5), None);
        assert_eq!(reading([1, 1, 1]).quantile(0.5, "time", "operation=\"update\","), None);
    }
}
