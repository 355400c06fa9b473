package reconcile

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"consular/reconcile/plan"
)

// What was told once is remembered while there is cause to tell it at each resync, and
// otherwise for an hour: not for as long as consular runs.
func TestWhatWasToldIsForgottenInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Config{Log: zerolog.Nop()}, nil, Consul{})
		told := 0
		for i := range 1000 {
			if r.firstTime("ports of /a") {
				told++
			}
			if !r.firstTime(fmt.Sprint("ports of /b, version ", i)) {
				t.Errorf("version %d was told already", i)
			}
			r.tellPlan(&plan.Plan{})
			time.Sleep(5 * time.Minute)
		}
		if n := len(r.logged); told != 1 || n > 20 {
			t.Errorf("told %d times what there was cause for at each resync, and %d messages are remembered", told, n)
		}
	})
}

// With a resync a day what it tells is told once all the same.
func TestWhatADailyResyncTellsIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Config{Log: zerolog.Nop()}, nil, Consul{})
		told := 0
		for range 10 {
			if r.firstTime("ports of /a") {
				told++
			}
			r.tellPlan(&plan.Plan{})
			time.Sleep(24 * time.Hour)
		}
		if told != 1 {
			t.Errorf("told %d times", told)
		}
	})
}
