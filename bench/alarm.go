package bench

import (
	"container/heap"
	"time"
)

// alarms are the sessions that wait for a moment, the earliest first. A session waits for one at a time.
type alarms struct{ list alarmList }

type alarm struct {
	at      time.Time
	session *session
}

// set has the session woken at that time. One that is closed meanwhile is passed over.
func (a *alarms) set(at time.Time, s *session) { heap.Push(&a.list, alarm{at, s}) }

// due takes out a session whose time has come, or says how long until the next; Forever of poll where there is none.
func (a *alarms) due(now time.Time) (s *session, wait time.Duration) {
	for len(a.list) > 0 {
		first := a.list[0]
		if wait := first.at.Sub(now); wait > 0 && first.session.state != sessionClosed {
			return nil, wait
		}
		heap.Pop(&a.list)
		if first.session.state != sessionClosed {
			return first.session, 0
		}
	}
	return nil, noAlarm
}

// noAlarm is a wait that any other is shorter than.
const noAlarm = time.Duration(1<<63 - 1)

// alarmList implements heap.Interface.
type alarmList []alarm

func (l alarmList) Len() int           { return len(l) }
func (l alarmList) Less(i, k int) bool { return l[i].at.Before(l[k].at) }
func (l alarmList) Swap(i, k int)      { l[i], l[k] = l[k], l[i] }
func (l *alarmList) Push(x any)        { *l = append(*l, x.(alarm)) }

func (l *alarmList) Pop() any {
	last := len(*l) - 1
	x := (*l)[last]
	(*l)[last] = alarm{} // the session is free to go
	*l = (*l)[:last]
	return x
}
