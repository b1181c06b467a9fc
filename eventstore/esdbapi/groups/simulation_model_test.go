package groups_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// pick is something that a consumer holds.
func (s *simulation) pick() (*simConsumer, *item, eventstore.EventID) {
	c := s.someone()
	if c == nil || len(c.held) == 0 {
		return nil, nil, eventstore.EventID{}
	}
	n := s.dice.IntN(len(c.held)) // maps have no order, but journals do
	for _, j := range []*journal{s.main, s.parked} {
		for _, it := range j.items {
			if id, held := c.held[it]; held {
				if n == 0 {
					return c, it, id
				}
				n--
			}
		}
	}
	return nil, nil, eventstore.EventID{}
}

func (s *simulation) ack() {
	for range 1 + s.dice.IntN(3) {
		if c, it, id := s.pick(); it != nil {
			c.Ack(id)
			s.answeredBy(c, it, id)
			it.done = true
		}
	}
}

func (s *simulation) nack() {
	c, it, id := s.pick()
	if it == nil {
		return
	}
	action := groups.Action(s.dice.IntN(5))
	s.answeredBy(c, it, id)
	switch action {
	case groups.Skip:
		it.done = true
	case groups.Park:
		s.toPark(it)
	case groups.Unknown, groups.Retry, groups.Stop:
		s.failed(it)
	}
	c.Nack(action, "refused", id)
}

func (s *simulation) answeredBy(c *simConsumer, it *item, id eventstore.EventID) {
	delete(c.held, it)
	it.holder = nil
	s.answered = append(s.answered, id)
}

// answerStale answers ids that the consumer does not hold: nothing may come of it.
func (s *simulation) answerStale() {
	c := s.someone()
	if c == nil || len(s.answered) == 0 {
		return
	}
	id := s.answered[s.dice.IntN(len(s.answered))]
	for _, held := range c.held {
		if held == id { // delivered to it again
			return
		}
	}
	c.Ack(id)
	c.Nack(groups.Park, "stale", id)
}

func (s *simulation) failed(it *item) {
	if it.failures >= simRetries {
		s.toPark(it)
		return
	}
	it.failures++
}

func (s *simulation) toPark(it *item) { it.parking, it.links = true, s.linksTo(it.target) }

func (s *simulation) linksTo(target uint64) (n int) {
	want := fmt.Sprint(target, "@", simStream)
	for _, e := range s.disk.of(parkedStream) {
		if string(e.Data) == want {
			n++
		}
	}
	return n
}

func (s *simulation) time(d time.Duration) {
	late := time.Now().Add(d - simTimeout)
	for _, c := range s.consumers {
		for it, id := range c.held {
			if !it.since.After(late) {
				s.answeredBy(c, it, id)
				s.failed(it)
			}
		}
	}
	s.pass(d)
}

func (s *simulation) vanish() {
	c := s.someone()
	if c == nil {
		return
	}
	for it, id := range c.held {
		s.answeredBy(c, it, id)
		s.failed(it)
	}
	c.Close()
	for i := range s.consumers {
		if s.consumers[i] == c {
			s.consumers = append(s.consumers[:i], s.consumers[i+1:]...)
			return
		}
	}
}

func (s *simulation) restartInOrder() {
	inOrder := s.calm()
	s.stop()
	s.reborn(inOrder)
	s.start()
}

func (s *simulation) update() {
	if s.store.health != well {
		return // of unknown outcome; that is for other tests
	}
	inOrder := s.calm()
	if err := s.Update(s.t.Context(), definition(simStream, s.definition)); err != nil {
		s.fatalf("update: %v", err)
	}
	s.reborn(inOrder)
}

func (s *simulation) replayAll() {
	if err := s.ReplayParked(s.t.Context(), on(simStream), nil); err != nil && s.store.health == well {
		s.fatalf("replay: %v", err)
	}
}

// calm says that the store has been well for so long that the group has noticed.
func (s *simulation) calm() bool {
	return s.store.health == well && time.Since(s.healed) > 10*time.Second
}

// reborn is the beginning of another life of the group: everything beyond what is written is open again. A life that
// ended in order has written where it was.
func (s *simulation) reborn(inOrder bool) {
	s.consumers = nil
	s.growParked()
	checkpoint, truncated := s.checkpoint(), s.truncated()
	if low := s.low(s.main); inOrder && checkpoint != low {
		s.fatalf("the checkpoint after an end in order is %d, want %d", checkpoint, low)
	}
	s.main.begin(checkpoint)
	s.parked.begin(truncated)
}

// begin forgets what only the process knew.
func (j *journal) begin(settled int) {
	j.last = -1
	for i, it := range j.items {
		*it = item{target: it.target, delivered: it.delivered, done: i < settled}
	}
}

// low is how many items at the beginning are settled.
func (s *simulation) low(j *journal) int {
	for i, it := range j.items {
		if !s.settled(it) {
			return i
		}
	}
	return len(j.items)
}

func (s *simulation) settled(it *item) bool {
	return it.done || it.parking && s.linksTo(it.target) > it.links
}

// checkpoint is how many events the last checkpoint on disk says are settled.
func (s *simulation) checkpoint() int {
	all := s.checkpoints(simStream)
	if len(all) == 0 {
		return 0
	}
	var revision int
	if _, err := fmt.Sscan(all[len(all)-1], &revision); err != nil {
		s.fatalf("checkpoint %q: %v", all[len(all)-1], err)
	}
	return revision + 1
}

func (s *simulation) truncated() int {
	all := s.disk.of("$$" + parkedStream)
	if len(all) == 0 {
		return 0
	}
	var meta map[string]int
	if err := json.Unmarshal(all[len(all)-1].Data, &meta); err != nil {
		s.fatalf("metadata %q: %v", all[len(all)-1].Data, err)
	}
	return meta["$tb"]
}

// check compares what is written and what the group says of itself with the model.
func (s *simulation) check() {
	s.growParked()
	if got, low := s.checkpoint(), s.low(s.main); got > low {
		s.fatalf("the checkpoint %d passes event %d, which is open: %+v", got, low, *s.main.items[low])
	}
	if got, low := s.truncated(), s.low(s.parked); got > low {
		s.fatalf("parked messages below %d are given up, but %d is open: %+v", got, low, *s.parked.items[low])
	}
	info, err := s.Info(s.t.Context(), on(simStream))
	if err != nil {
		s.fatalf("info: %v", err)
	}
	if info.Buffered > simBuffer || len(info.Connections) != len(s.consumers) {
		s.fatalf("%d buffered, %d connections; want at most %d and %d", info.Buffered, len(info.Connections), simBuffer, len(s.consumers))
	}
}

// settle makes everything well and demands that nothing was lost.
func (s *simulation) settle() {
	s.trail = append(s.trail, "settle")
	s.store.set(well)
	for len(s.consumers) > 0 {
		s.vanish()
	}
	s.time(time.Minute)
	s.connect()
	s.drain()
	for i, it := range s.main.items {
		if !it.delivered || !s.settled(it) {
			s.fatalf("event %d is lost: %+v", i, *it)
		}
	}
	s.replayAll()
	s.drain()
	s.restartInOrder()
	s.connect()
	if s.takeFor(s.consumers[0]) {
		s.fatalf("something is left")
	}
	info, err := s.Info(s.t.Context(), on(simStream))
	if err != nil || info.Parked != 0 || info.Awaiting != 0 || info.Checkpoint != groups.Place(len(s.main.items)) {
		s.fatalf("at the end: %+v, %v; want nothing open of %d", info, err, len(s.main.items))
	}
	s.t.Logf("%d events, %d deliveries, %d parked, %d deliveries of those", len(s.main.items), s.main.delivered, len(s.parked.items), s.parked.delivered)
}

func (s *simulation) drain() {
	for s.wait(); s.takeFor(s.consumers[0]); s.wait() {
		c := s.consumers[0]
		for it, id := range c.held {
			c.Ack(id)
			s.answeredBy(c, it, id)
			it.done = true
		}
	}
	s.time(5 * time.Second)
	s.check()
}

func (s *simulation) fatalf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s\nafter %s", fmt.Sprintf(format, args...), strings.Join(s.trail[max(0, len(s.trail)-30):], ", "))
}
