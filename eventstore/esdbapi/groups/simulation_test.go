package groups_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// TestSimulationOfConsumers lets consumers that acknowledge, refuse, stall and vanish, a store that fails, and a process that
// crashes and is updated have their way in an order that a seed decides, and compares what is delivered and
// written with a model after every step.
// LOGOUTD_SIMULATION_SEED repeats a run, LOGOUTD_SIMULATION_ROUNDS makes it longer.
func TestSimulationOfConsumers(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1, 2, 3, 4, 5, 6, 7, 8, rand.Uint64(), rand.Uint64()}
	if seed, err := strconv.ParseUint(os.Getenv("LOGOUTD_SIMULATION_SEED"), 10, 64); err == nil {
		seeds = []uint64{seed}
	}
	rounds := 3000
	if n, err := strconv.Atoi(os.Getenv("LOGOUTD_SIMULATION_ROUNDS")); err == nil {
		rounds = n
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newSimulation(t, seed).run(rounds) })
		})
	}
}

const (
	simStream  = "a"
	simRetries = 2
	simTimeout = 10 * time.Second
	simBuffer  = 20
)

type simulation struct {
	*world
	dice      *rand.Rand
	alone     bool // at most one consumer: then the order of first deliveries is known exactly
	consumers []*simConsumer
	main      *journal
	parked    *journal
	answered  []eventstore.EventID // ids that must mean nothing any more
	trail     []string             // what was done
	did       map[string]int
	healed    time.Time // when the store became well
}

type simConsumer struct {
	*groups.Consumer
	buffer int
	held   map[*item]eventstore.EventID
}

// journal is what the model knows of one source: the stream, or its parked messages.
type journal struct {
	items     []*item
	last      int // the latest first delivery, in this life of the group
	delivered int
}

// item is one event of a source.
type item struct {
	done      bool // acknowledged or skipped, or below the checkpoint when this life began
	parking   bool // to be parked, and settled when a link to it is on disk
	links     int  // to its target, when it was to be parked
	target    uint64
	failures  int
	holder    *simConsumer
	since     time.Time
	delivered bool // ever
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	t.Logf("LOGOUTD_SIMULATION_SEED=%d", seed)
	s := &simulation{
		world: &world{t: t, disk: newDisk()}, dice: rand.New(rand.NewPCG(seed, seed)),
		main: &journal{last: -1}, parked: &journal{last: -1}, did: map[string]int{},
	}
	s.alone = s.dice.IntN(3) == 0
	return s
}

func (s *simulation) run(rounds int) {
	s.start()
	defer func() { s.stop() }()
	s.create(simStream, s.definition)
	steps := s.steps()
	for range rounds {
		step := steps[s.dice.IntN(len(steps))]
		s.trail = append(s.trail, step.name)
		s.did[step.name]++
		step.do()
		s.wait()
		s.check()
	}
	s.settle()
	for _, step := range steps {
		if s.did[step.name] == 0 && rounds >= 500 {
			s.t.Errorf("%q never happened", step.name)
		}
	}
}

func (s *simulation) definition(d *groups.Definition) {
	d.Settings.MaxRetryCount, d.Settings.MessageTimeout = simRetries, simTimeout
	d.Settings.HistoryBufferSize, d.Settings.LiveBufferSize, d.Settings.ReadBatchSize = simBuffer, simBuffer/2, 3
	d.Settings.MinCheckpointCount, d.Settings.CheckpointAfter = 1+s.dice.IntN(5), time.Second
	d.Settings.Strategy = groups.Strategies()[s.dice.IntN(4)]
}

func (s *simulation) heal() {
	if s.store.health != well {
		s.healed = time.Now()
	}
	s.store.set(well)
}

type simStep struct {
	name string
	do   func()
}

func (s *simulation) steps() []simStep {
	often := func(n int, step simStep) (all []simStep) {
		for range n {
			all = append(all, step)
		}
		return all
	}
	var steps []simStep
	for _, group := range [][]simStep{
		often(8, simStep{"append", s.append}),
		often(24, simStep{"take", s.take}),
		often(12, simStep{"ack", s.ack}),
		often(6, simStep{"nack", s.nack}),
		often(2, simStep{"answer what is over", s.answerStale}),
		often(4, simStep{"time", func() { s.time(time.Duration(s.dice.IntN(4000)) * time.Millisecond) }}),
		often(1, simStep{"long time", func() { s.time(time.Minute) }}),
		often(4, simStep{"connect", s.connect}),
		often(2, simStep{"vanish", s.vanish}),
		often(1, simStep{"store away", func() { s.store.set(away) }}),
		often(1, simStep{"store vague", func() { s.store.set(vague) }}),
		often(3, simStep{"store well", s.heal}),
		often(1, simStep{"crash", func() { s.crash(); s.reborn(false); s.start() }}),
		often(1, simStep{"restart", s.restartInOrder}),
		often(1, simStep{"update", s.update}),
		often(2, simStep{"replay", s.replayAll}),
	} {
		steps = append(steps, group...)
	}
	return steps
}

func (s *simulation) append() {
	for range 1 + s.dice.IntN(6) {
		s.addEvent(simStream, eventstore.Event{Type: "t", Metadata: fmt.Appendf(nil, `{"$correlationId":"%d"}`, s.dice.IntN(5))})
		s.main.items = append(s.main.items, &item{target: uint64(len(s.main.items))})
	}
}

func (s *simulation) connect() {
	limit := 4
	if s.alone {
		limit = 1
	}
	if len(s.consumers) >= limit {
		return
	}
	buffer := 1 + s.dice.IntN(6)
	c, err := s.Connect(s.t.Context(), on(simStream), groups.ConsumerInfo{Buffer: buffer})
	if err != nil {
		s.fatalf("connect: %v", err)
	}
	s.consumers = append(s.consumers, &simConsumer{Consumer: c, buffer: buffer, held: map[*item]eventstore.EventID{}})
}

func (s *simulation) someone() *simConsumer {
	if len(s.consumers) == 0 {
		return nil
	}
	return s.consumers[s.dice.IntN(len(s.consumers))]
}

func (s *simulation) take() {
	if c := s.someone(); c != nil {
		s.takeFor(c)
	}
}

// takeFor takes what is there for a consumer and compares it with the model.
func (s *simulation) takeFor(c *simConsumer) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d, err := c.Next(ctx)
	if ctx.Err() == err {
		return false
	}
	if err != nil {
		s.fatalf("next: %v", err)
	}
	j, i := s.find(d)
	it := j.items[i]
	switch {
	case it.done:
		s.fatalf("%s is delivered, but it is settled", show(d))
	case it.parking:
		s.fatalf("%s is delivered, but it is being parked", show(d))
	case it.holder != nil:
		s.fatalf("%s is delivered to two consumers", show(d))
	case d.Retry != it.failures:
		s.fatalf("%s is delivered with %d retries, want %d", show(d), d.Retry, it.failures)
	case s.alone && d.Retry == 0 && i <= j.last:
		s.fatalf("%s is delivered for the first time after %d", show(d), j.last)
	case len(c.held) >= c.buffer:
		s.fatalf("%s is delivered to a consumer with %d of %d unanswered", show(d), len(c.held), c.buffer)
	}
	it.holder, it.since, it.delivered = c, time.Now(), true
	if d.Retry == 0 {
		j.last = i
	}
	j.delivered++
	c.held[it] = d.Original().ID
	return true
}

func (s *simulation) find(d groups.Delivery) (*journal, int) {
	o := d.Original()
	if o.Stream == simStream {
		return s.main, int(o.Revision)
	}
	if o.Stream != parkedStream || d.Event == nil || d.Event.Stream != simStream {
		s.fatalf("%s is delivered, with event %v", show(d), d.Event)
	}
	s.growParked()
	if s.parked.items[o.Revision].target != d.Event.Revision {
		s.fatalf("%s is delivered with event %d, want %d", show(d), d.Event.Revision, s.parked.items[o.Revision].target)
	}
	return s.parked, int(o.Revision)
}

// growParked learns of messages that were parked.
func (s *simulation) growParked() {
	for _, e := range s.disk.of(parkedStream)[len(s.parked.items):] {
		var target uint64
		if _, err := fmt.Sscanf(string(e.Data), "%d@a", &target); err != nil {
			s.fatalf("parked %q: %v", e.Data, err)
		}
		s.parked.items = append(s.parked.items, &item{target: target})
	}
}
