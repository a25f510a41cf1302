package bench

import (
	"testing"
	"time"
)

func TestAlarmsRingInTheirOrder(t *testing.T) {
	var a alarms
	start := time.Now()
	first, second, closed := &session{state: sessionPaused}, &session{state: sessionPaused}, &session{state: sessionPaused}
	a.set(start.Add(2*time.Second), second)
	a.set(start.Add(time.Second), first)
	a.set(start.Add(time.Second/2), closed)
	closed.state = sessionClosed
	if s, wait := a.due(start); s != nil || wait != time.Second {
		t.Errorf("at the start %v, %v; want a wait of 1s for the first that is still there", s, wait)
	}
	for i, want := range []*session{first, second} {
		if s, _ := a.due(start.Add(time.Hour)); s != want {
			t.Errorf("alarm %d is not the one that was due", i)
		}
	}
	if s, wait := a.due(start.Add(time.Hour)); s != nil || wait != noAlarm {
		t.Errorf("without alarms %v, %v", s, wait)
	}
}
