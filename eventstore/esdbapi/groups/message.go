package groups

import (
	"cmp"
	"container/list"
	"maps"
	"slices"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// Delivery is an event on its way to a consumer.
type Delivery struct {
	Event *eventstore.Recorded // nil when Link points to nothing that can be read
	Link  *eventstore.Recorded // the event of the source, where that is a link which was followed
	Retry int                  // how often it was delivered before
}

// Original is the event of the source: what is acknowledged by its id.
func (d Delivery) Original() *eventstore.Recorded {
	if d.Link != nil {
		return d.Link
	}
	return d.Event
}

// target is what a link to the delivery should name.
func (d Delivery) target() *eventstore.Recorded {
	if d.Event != nil {
		return d.Event
	}
	return d.Link
}

// message is a delivery from the moment it is read until it is settled: acknowledged, skipped or
// parked. At any time it is in exactly one place: the buffer, redo, a consumer or parking.
type message struct {
	Delivery
	seq    uint64 // the order of reading, within the group
	weight int
	pin    string // of the strategies that pin

	ledger *ledger
	entry  *list.Element // in ledger.open
	before Place         // the last place of the source before this one

	holder   *Consumer     // who has it in hand; nil while it lies in a mailbox
	deadline time.Time     // when the consumer has had it for too long
	flight   *list.Element // in group.flying
	reason   string        // why it is parked
}

// overhead is what a message costs beside its bytes.
const overhead = 512

// newMessage does what takes time and needs no lock.
func newMessage(d Delivery, by Strategy) *message {
	m := &message{Delivery: d, weight: overhead, pin: pin(d, by)}
	for _, e := range []*eventstore.Recorded{d.Event, d.Link} {
		if e != nil {
			m.weight += len(e.Stream) + len(e.Type) + len(e.Data) + len(e.Metadata)
		}
	}
	return m
}

// sorted are the messages of a consumer in the order of reading.
func sorted(held map[eventstore.EventID]*message) []*message {
	return slices.SortedFunc(maps.Values(held), bySeq)
}

func bySeq(a, b *message) int { return cmp.Compare(a.seq, b.seq) }

// insert keeps messages in the order of reading.
func insert(in []*message, m *message) []*message {
	i, _ := slices.BinarySearchFunc(in, m, bySeq)
	return slices.Insert(in, i, m)
}

// pop takes the first. It leaves no pointer behind in the array.
func pop(from *[]*message) *message {
	first := (*from)[0]
	(*from)[0] = nil
	*from = (*from)[1:]
	return first
}
