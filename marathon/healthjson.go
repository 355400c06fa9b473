package marathon

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// maxFailureCause is how much of a failure's cause is kept.
const maxFailureCause = 4096

type healthCheckJSON struct {
	Protocol               string `json:"protocol"`
	Path                   string `json:"path"`
	Port                   int    `json:"port"`
	PortIndex              int    `json:"portIndex"`
	GracePeriodSeconds     *int   `json:"gracePeriodSeconds"`
	IntervalSeconds        *int   `json:"intervalSeconds"`
	TimeoutSeconds         *int   `json:"timeoutSeconds"`
	DelaySeconds           *int   `json:"delaySeconds"`
	MaxConsecutiveFailures *int   `json:"maxConsecutiveFailures"`
	IPProtocol             string `json:"ipProtocol"`
}

// check returns what c means, or the first field that makes no sense. What is
// not given has Marathon's default (mesosphere.marathon.core.health.HealthCheck).
func (c healthCheckJSON) check(one *texts) (HealthCheck, error) {
	check := HealthCheck{
		Protocol: HealthProtocol(one.text(cmp.Or(c.Protocol, string(HealthHTTP)))),
		Path:     one.text(c.Path), Port: c.Port, PortIndex: c.PortIndex,
		MaxConsecutiveFailures: 3, IPv6: c.IPProtocol == "IPv6",
	}
	if c.MaxConsecutiveFailures != nil {
		check.MaxConsecutiveFailures = *c.MaxConsecutiveFailures
	}
	for _, period := range []struct {
		field    string
		given    *int
		standard int
		to       *time.Duration
	}{
		{"gracePeriodSeconds", c.GracePeriodSeconds, 300, &check.GracePeriod},
		{"intervalSeconds", c.IntervalSeconds, 60, &check.Interval},
		{"timeoutSeconds", c.TimeoutSeconds, 20, &check.Timeout},
		{"delaySeconds", c.DelaySeconds, 15, &check.Delay},
	} {
		var err error
		if *period.to, err = seconds(period.field, period.given, period.standard); err != nil {
			return HealthCheck{}, err
		}
	}
	return check, checkPort("port", c.Port)
}

// seconds returns a period that is given in seconds, or its default.
func seconds(field string, given *int, standard int) (time.Duration, error) {
	const most = 100 * 365 * 24 * 60 * 60
	switch {
	case given == nil:
		return time.Duration(standard) * time.Second, nil
	case *given < 0 || *given > most:
		return 0, fmt.Errorf("field %s: %d is no number of seconds", field, *given)
	default:
		return time.Duration(*given) * time.Second, nil
	}
}

// healthChecks reads the definition's health checks. How many there are counts
// for the verdict on a task, so one that is not understood is there as well; of
// a list that is not understood as a whole, all are such, and one at least.
func (r *definitionReader) healthChecks(field optional[[]healthCheckJSON]) {
	r.leaveOut(field.wrong, "field healthChecks")
	if field.wrong != nil && len(field.value) == 0 {
		field.value = make([]healthCheckJSON, 1)
	}
	for i, c := range field.value {
		check, err := c.check(r.one)
		if err != nil || field.wrong != nil {
			check, _ = healthCheckJSON{}.check(r.one)
			check.Protocol = ""
		}
		r.leaveOut(err, "health check %d", i)
		r.HealthChecks = append(r.HealthChecks, check)
	}
}

type healthCheckResultJSON struct {
	Alive               *bool   `json:"alive"`
	ConsecutiveFailures int     `json:"consecutiveFailures"`
	LastSuccess         instant `json:"lastSuccess"`
	LastFailure         instant `json:"lastFailure"`
	LastFailureCause    string  `json:"lastFailureCause"`
}

// healthCheckResults returns what a task's checks have reported. Of results that
// are not understood none counts: some of them would be too few.
func healthCheckResults(field optional[[]healthCheckResultJSON], one *texts) ([]HealthCheckResult, error) {
	if field.wrong != nil {
		return nil, fmt.Errorf("field healthCheckResults: %w", field.wrong)
	}
	var results []HealthCheckResult
	for _, r := range field.value {
		if r.Alive == nil {
			return nil, fmt.Errorf("field healthCheckResults: %w", missing("alive"))
		}
		results = append(results, HealthCheckResult{
			Alive: *r.Alive, ConsecutiveFailures: r.ConsecutiveFailures,
			LastSuccess: r.LastSuccess.Time, LastFailure: r.LastFailure.Time,
			LastFailureCause: one.text(clipped(r.LastFailureCause, maxFailureCause)),
		})
	}
	return results, nil
}

// clipped returns the beginning of a text that is longer than most bytes, cut at
// a character, without the memory of the rest.
func clipped(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(strings.Clone(text[:most]), "")
}

type readinessCheckJSON struct {
	Name            string `json:"name"`
	IntervalSeconds *int   `json:"intervalSeconds"`
}

func (r *definitionReader) readinessChecks(field optional[[]readinessCheckJSON]) {
	r.leaveOut(field.wrong, "field readinessChecks")
	for i, c := range field.value {
		interval, err := seconds("intervalSeconds", c.IntervalSeconds, 30)
		r.leaveOut(err, "readiness check %d", i)
		if interval == 0 {
			interval = 30 * time.Second
		}
		r.ReadinessChecks = append(r.ReadinessChecks, ReadinessCheck{
			Name: r.one.text(cmp.Or(c.Name, "readinessCheck")), Interval: interval,
		})
	}
}

type readinessCheckResultJSON struct {
	Name   string `json:"name"`
	TaskID string `json:"taskId"`
	Ready  bool   `json:"ready"`
}

type deploymentJSON struct {
	ID string `json:"id"`
}
