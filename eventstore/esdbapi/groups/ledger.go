package groups

import "container/list"

// Place is where in its source a group is: on a stream the number of events up to there, which is the
// revision of the last one plus one, and on All the position of the last one. 0 is before the first.
type Place uint64

// ledger knows which events of one source are not settled yet, and so up to where everything is.
// Events enter in order and are settled in any.
type ledger struct {
	open list.List // of *message, by place
	last Place     // of the last event entered or passed over
}

// enter takes an event that must be settled before low can pass it.
func (l *ledger) enter(m *message, at Place) {
	m.ledger, m.before = l, l.last
	m.entry = l.open.PushBack(m)
	l.last = at
}

// pass is for an event that is nobody's business.
func (l *ledger) pass(at Place) { l.last = at }

func (l *ledger) settle(m *message) { l.open.Remove(m.entry) }

// low is the highest place seen that lies below everything open: what a checkpoint may say. It
// is the place of an event, never a number computed from one, since not every store counts by one.
func (l *ledger) low() Place {
	if first := l.open.Front(); first != nil {
		return first.Value.(*message).before //nolint:forcetypeassert // the list holds nothing else
	}
	return l.last
}
