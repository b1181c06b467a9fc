package commands_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
)

// TestSimulation lets several processors carry out few commands on few tokens over one store, again
// and again, and interleaves them call by call: refused, lost, doubled and late appends,
// crashes between any two calls, and key files that change under some of them before others. The invariants are checked after every step.
//
// LOGOUTD_SIMULATION_SEED repeats a run, LOGOUTD_SIMULATION_ROUNDS makes it longer.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1, 2, 3, 3740837334875641203, rand.Uint64()} // the long one once found a lie
	if seed, err := strconv.ParseUint(os.Getenv("LOGOUTD_SIMULATION_SEED"), 10, 64); err == nil {
		seeds = []uint64{seed}
	}
	rounds, err := strconv.Atoi(os.Getenv("LOGOUTD_SIMULATION_ROUNDS"))
	if err != nil {
		rounds = 40
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			s := newSimulation(t, seed)
			for round := range rounds {
				if round%8 == 0 && round > 0 {
					s.anew(t) // with one key again
				}
				s.deal()
				for range 80 {
					s.step()
				}
				s.settle()
				if t.Failed() {
					t.Fatalf("in round %d of seed %d, after %d calls", round, seed, s.calls)
				}
			}
			t.Logf("%d calls, %s events, %d logouts of which %d ended a session", s.calls, s.record.at, s.logouts, s.ended)
			if s.ended == 0 || s.logouts == s.ended {
				t.Error("the simulation did nothing")
			}
		})
	}
}

// order is a command that is delivered any number of times.
type order struct {
	id    uuid.UUID
	what  string // logout, issue, register; keys is a process that reads its key file again
	user  string
	token credential.Secret
	known *knownOrder
}

type simulation struct {
	*house
	dice   *rand.Rand
	actors []*actor
	late   []eventstore.Append // on their way, long after their callers have given up
	orders []*order
	native refreshtoken.SessionID
	faults int // how many of 24 calls go wrong
	record *record

	calls, logouts, ended int
}

// actor is a processor in a process of its own. It stops before every call to the store until the
// simulation lets it go on, so that one runs at a time and a seed is one history.
type actor struct {
	s       *simulation
	busy    *order
	running bool // the simulation has begun, and says what becomes of each call
	resume  chan verdict
	reports chan report
	patient *commands.Processor
	hasty   *commands.Processor // gives an unknown outcome up after one round
}

type verdict uint8

const (
	goOn verdict = iota
	refuse
	loseAnswer
	loseCall
	deliverLate
	deliverTwice
	crash
)

// report is what an actor says when it stops: before a call, or with the end of its delivery.
type report struct {
	ended   bool
	crashed bool
	receipt any
	err     error
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	t.Logf("LOGOUTD_SIMULATION_SEED=%d", seed)
	s := &simulation{dice: rand.New(rand.NewPCG(seed, seed))}
	s.anew(t)
	return s
}

// anew begins with an empty store.
func (s *simulation) anew(t *testing.T) {
	s.house, s.record, s.actors = newHouse(t), newRecord(), nil
	for range 4 {
		a := &actor{s: s, resume: make(chan verdict), reports: make(chan report)}
		a.patient = s.another(a)
		hasty := *a.patient // of the same process: the same keys
		a.hasty = &hasty
		a.patient.Timeout, a.patient.ResolveTimeout = time.Hour, time.Hour
		a.hasty.Timeout, a.hasty.ResolveTimeout = time.Hour, time.Nanosecond
		a.running = true
		s.actors = append(s.actors, a)
	}
	s.record.at = s.head()
}

// deal makes the tokens and commands of a round: few, so that they meet.
func (s *simulation) deal() {
	s.orders = nil
	s.faults = []int{0, 2, 8}[s.dice.IntN(3)]
	issued := s.mustIssue("alice")
	s.native = issued.SessionID
	registered := credential.NewSecret("a token registered at " + issued.Position.String())
	for _, name := range []string{"alice", "alice", "bob"} {
		s.add("register", name, registered)
	}
	s.add("issue", "alice", credential.Secret{})
	s.add("keys", "", credential.Secret{})
	s.add("logout", "alice", credential.NewSecret("unknown to everybody"))
	for _, token := range []credential.Secret{issued.RefreshToken, registered} {
		for _, name := range []string{"alice", "alice", "bob"} {
			s.add("logout", name, token)
		}
	}
}

func (s *simulation) add(what, name string, token credential.Secret) {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(s.dice.Uint32())
	}
	s.orders = append(s.orders, &order{id: id, what: what, user: name, token: token, known: &knownOrder{}})
}

// step lets one actor make one call, or starts a delivery, or lets a late append arrive.
func (s *simulation) step() {
	if len(s.late) > 0 && s.dice.IntN(8) == 0 {
		i := s.dice.IntN(len(s.late))
		_, _ = s.store.Append(context.Background(), s.late[i]) // nobody waits for the answer
		s.late = append(s.late[:i], s.late[i+1:]...)
		s.check()
		return
	}
	if s.dice.IntN(16) == 0 {
		_ = s.rotate(s.native) // somebody else, as long as the session lives
		s.check()
		return
	}
	if s.dice.IntN(50) == 0 {
		s.changeKeys()
		return
	}
	a := s.actors[s.dice.IntN(len(s.actors))]
	if a.busy == nil {
		a.deliver(s.orders[s.dice.IntN(len(s.orders))], s.dice.IntN(3) == 0)
	} else {
		a.resume <- s.fate()
	}
	s.await(a)
	s.check()
}

// changeKeys changes the key file, which each process reads when it comes to it.
func (s *simulation) changeKeys() {
	var err error
	switch keys := s.ring.Keys(); {
	case keys[len(keys)-1].Status == keyring.Next:
		_, err = credential.PromoteKey(s.keys, "")
	case len(keys) < 5: // each costs every look-up a read
		_, err = credential.AddKey(s.keys, time.Now())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.ring = ringIn(s.t, s.keys)
}

func (s *simulation) fate() verdict {
	if s.dice.IntN(24) < s.faults {
		return verdict(1 + s.dice.IntN(int(crash)))
	}
	return goOn
}

// await takes what an actor says when it stops.
func (s *simulation) await(a *actor) {
	s.calls++
	if r := <-a.reports; r.ended {
		o := a.busy
		a.busy = nil
		o.known.running--
		if !r.crashed {
			s.answered(o, r.receipt, r.err)
		}
	}
}

func (a *actor) deliver(o *order, hasty bool) {
	a.busy = o
	if o.known.deliveries++; o.known.deliveries == 1 {
		o.known.since = a.s.record.at
	}
	o.known.running++
	p := a.patient
	if hasty {
		p = a.hasty
	}
	go func() { // ends with its last report, which await takes
		r := report{ended: true, crashed: true}
		defer func() { a.reports <- r }() // a crash ends the goroutine in the middle of run
		if o.what == "keys" {
			r.err = p.Keys.Announce(context.Background(), a.s.ring)
		} else {
			r.receipt, r.err = o.run(p)
		}
		r.crashed = false
	}()
}

func (o *order) run(p *commands.Processor) (receipt any, err error) {
	e := commands.Envelope{CommandID: o.id}
	switch o.what {
	case "logout":
		return p.LogoutUser(context.Background(), commands.LogoutUser{Envelope: e, UserID: user(o.user), RefreshToken: o.token})
	case "register":
		return p.RegisterRefreshToken(context.Background(), commands.RegisterRefreshToken{
			Envelope: e, UserID: user(o.user), RefreshToken: o.token, ExpiresAt: p.Now().Add(time.Hour),
		})
	}
	r, err := p.IssueRefreshToken(context.Background(), commands.IssueRefreshToken{Envelope: e, UserID: user(o.user)})
	// A secret is a function, and functions do not compare.
	return fmt.Sprint(r.CommandID, r.Position, r.SessionID, r.ExpiresAt, r.RefreshToken.Reveal()), err
}

// settle ends all faults, lets everything that is on its way arrive, and delivers every command once
// more: each must end in one record now.
func (s *simulation) settle() {
	s.faults = 0
	for _, a := range s.actors {
		for a.busy != nil {
			a.resume <- goOn
			s.await(a)
			s.check()
		}
	}
	for ; len(s.late) > 0; s.late = s.late[1:] {
		_, _ = s.store.Append(context.Background(), s.late[0])
		s.check()
	}
	for _, a := range s.actors {
		if err := s.direct(a, func() error { return a.patient.Keys.Announce(context.Background(), s.ring) }); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, o := range s.orders {
		a := s.actors[0]
		a.deliver(o, false)
		for s.await(a); a.busy != nil; s.await(a) {
			a.resume <- goOn
		}
		s.check()
	}
	s.final()
}

// direct lets an actor make calls that nothing happens to.
func (s *simulation) direct(a *actor, f func() error) error {
	a.running = false
	defer func() { a.running = true }()
	return f()
}

// stop is a call to the store: wait for the verdict on it.
func (a *actor) stop() verdict {
	if !a.running {
		return goOn
	}
	a.reports <- report{}
	v := <-a.resume
	if v == crash {
		runtime.Goexit()
	}
	return v
}

func (a *actor) Load(_ context.Context, stream string) (eventstore.Loaded, error) {
	if a.stop() == refuse {
		return eventstore.Loaded{}, eventstore.ErrUnavailable
	}
	return a.s.store.Load(context.Background(), stream)
}

func (a *actor) ReadStream(_ context.Context, stream string, from uint64, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	if a.stop() == refuse {
		return func(yield func(eventstore.Recorded, error) bool) {
			yield(eventstore.Recorded{}, eventstore.ErrUnavailable)
		}
	}
	return a.s.store.ReadStream(context.Background(), stream, from, dir)
}

func (a *actor) Append(_ context.Context, e eventstore.Append) (eventstore.Result, error) {
	unknown := fmt.Errorf("%w: in the simulation", eventstore.ErrOutcomeUnknown)
	switch a.stop() {
	case refuse:
		return eventstore.Result{}, eventstore.ErrUnavailable
	case loseCall:
		return eventstore.Result{}, unknown
	case deliverLate:
		a.s.late = append(a.s.late, e)
		return eventstore.Result{}, unknown
	case loseAnswer:
		if _, err := a.s.store.Append(context.Background(), e); err != nil {
			return eventstore.Result{}, err
		}
		a.afterwards()
		return eventstore.Result{}, unknown
	case deliverTwice:
		if _, err := a.s.store.Append(context.Background(), e); err != nil {
			return eventstore.Result{}, err
		}
	case goOn, crash:
	}
	return a.s.store.Append(context.Background(), e)
}

// afterwards is a chance to crash between the append and its answer.
func (a *actor) afterwards() { a.stop() }
