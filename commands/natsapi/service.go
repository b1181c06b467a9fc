package natsapi

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/rs/zerolog"

	"github.com/logoutd/logoutd/commands"
)

// Config of a Service.
type Config struct {
	Conn      *nats.Conn
	Processor Processor
	Queue     *commands.Queue
	Log       zerolog.Logger
	// Version is the SemVer of the service, as `nats micro info` shows it.
	Version string
	// SubjectPrefix begins the subjects; "" is DefaultSubjectPrefix.
	SubjectPrefix string
	// ReplyFloor is the shortest time from the arrival of a command to its reply (N3).
	ReplyFloor time.Duration
	// DrainTimeout bounds how long Run waits for accepted commands when it ends; 0 is 10 s.
	DrainTimeout time.Duration
}

// Service is the request-reply face of logoutd.
type Service struct {
	c         Config
	pacer     *pacer
	endpoints map[string]*endpoint
	busy      *nats.Msg    // the reply to what is refused unread
	seed      maphash.Seed // so that nobody outside knows whose hashes collide
}

// endpoint is a verb that is served, with what micro cannot count, since it measures the
// subscription callback only.
type endpoint struct {
	verb
	garbage, failures                allowance // these three are the subscription's alone
	lastShed                         time.Time
	accepted, answered, failed, shed atomic.Uint64
	took                             atomic.Int64 // ns, from arrival to reply, of the answered
}

// New checks a configuration.
func New(c Config) (*Service, error) {
	if c.Conn == nil || c.Processor == nil || c.Queue == nil {
		return nil, errors.New("natsapi: Conn, Processor and Queue are required")
	}
	if c.SubjectPrefix == "" {
		c.SubjectPrefix = DefaultSubjectPrefix
	}
	if err := CheckSubjectPrefix(c.SubjectPrefix); err != nil {
		return nil, err
	}
	if c.DrainTimeout <= 0 {
		c.DrainTimeout = 10 * time.Second
	}
	s := &Service{
		c: c, pacer: newPacer(c.Queue.Limit()), endpoints: map[string]*endpoint{},
		busy: errorReply("", uuid.Nil, commands.ErrBusy), seed: maphash.MakeSeed(),
	}
	for _, v := range verbs() {
		s.endpoints[v.name] = &endpoint{verb: v, garbage: garbage(), failures: failures()}
	}
	return s, nil
}

// Run serves until ctx ends; then it drains (N5). ready is called once when every
// endpoint listens. The error names what could not be set up, or what was left undone.
func (s *Service) Run(ctx context.Context, ready func()) error {
	stopped := make(chan struct{})
	var once sync.Once
	var reported time.Time // by nats.go's one goroutine for such reports
	service, err := micro.AddService(s.c.Conn, micro.Config{
		Name:         ServiceName,
		Version:      s.c.Version,
		Description:  "ends sessions: carries out commands on refresh tokens and records every decision",
		StatsHandler: s.statsOf,
		ErrorHandler: func(_ micro.Service, e *micro.NATSError) {
			// A subscription that has fallen behind says so again and again.
			if time.Since(reported) < time.Minute {
				return
			}
			reported = time.Now()
			s.c.Log.Warn().Str("subject", e.Subject).Str("error", e.Description).Msg("nats reports an error")
		},
		DoneHandler: func(micro.Service) { once.Do(func() { close(stopped) }) },
	})
	if err != nil {
		return fmt.Errorf("nats service: %w", err)
	}
	// Detached: accepted commands are carried out after ctx has ended, each with its own timeout.
	work := context.WithoutCancel(ctx)
	for _, e := range s.endpoints {
		if err := s.addEndpoint(work, service, e); err != nil {
			return errors.Join(err, service.Stop())
		}
	}
	// What is subscribed must be known to the server before anybody is told.
	if err := s.c.Conn.FlushTimeout(5 * time.Second); err != nil {
		return errors.Join(fmt.Errorf("nats service: %w", err), service.Stop())
	}
	go s.pacer.run() // finish waits for it
	ready()
	select {
	case <-ctx.Done():
		return s.drain(service)
	case <-stopped:
		// Nobody can be answered any more; what was accepted is carried out all the same.
		return errors.Join(errors.New("nats service stopped: the connection is closed for good"), s.finish())
	}
}

// What nats.go may hold for one endpoint; it drops what is beyond. The callback decodes and enqueues, and what
// fails too often not even that, so this is reached when the process stands still, not when it is busy.
const pendingMessages, pendingBytes = 1 << 17, 256 << 20

func (s *Service) addEndpoint(ctx context.Context, service micro.Service, e *endpoint) error {
	request, err1 := schemas.ReadFile("schema/" + e.name + ".request.json")
	response, err2 := schemas.ReadFile("schema/" + e.name + ".response.json")
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("endpoint %s: %w", e.name, err)
	}
	err := service.AddEndpoint(e.name,
		micro.HandlerFunc(func(r micro.Request) { s.accept(ctx, e, r) }),
		micro.WithEndpointSubject(Subject(s.c.SubjectPrefix, e.name)),
		micro.WithEndpointPendingLimits(pendingMessages, pendingBytes),
		micro.WithEndpointMetadata(map[string]string{
			"format": "application/json", "request_schema": string(request), "response_schema": string(response),
		}))
	if err != nil {
		return fmt.Errorf("endpoint %s: %w", e.name, err)
	}
	return nil
}

// accept runs in the subscription's goroutine: decode, enqueue, and answer only what
// cannot be enqueued (N2).
func (s *Service) accept(ctx context.Context, e *endpoint, r micro.Request) {
	arrived := time.Now()
	e.accepted.Add(1)
	mayBe, allowed := e.mayBe(r.Data()), &e.failures
	if !mayBe {
		allowed = &e.garbage
	}
	if !allowed.open(arrived) {
		s.shed(e, r, arrived, mayBe)
		return
	}
	reply := r.Reply()
	id, job, err := e.decode(s.c.Processor, nats.Header(r.Headers()), r.Data())
	if err == nil {
		err = s.c.Queue.Submit(s.keys(job), func() {
			body, err := s.run(ctx, e, id, job)
			s.answer(e, arrived, reply, id, body, err)
		})
		if err == nil {
			return
		}
	}
	e.failed.Add(1)
	allowed.left--
	if reply != "" {
		m := errorReply(reply, id, err)
		// By micro's own call, so that its statistics count the error.
		err = r.Error(m.Header.Get(micro.ErrorCodeHeader), m.Header.Get(micro.ErrorHeader), m.Data)
		s.logReplyError(err)
	}
}

// keys are the hashes of a job for the queue.
func (s *Service) keys(j job) commands.Keys {
	keys := commands.Keys{Token: maphash.String(s.seed, j.token), User: maphash.String(s.seed, j.user)}
	if j.client != "" {
		keys.Client = maphash.String(s.seed, j.client)
	}
	return keys
}

// run carries out a command. A panic fails this command and not the process.
func (s *Service) run(ctx context.Context, e *endpoint, id uuid.UUID, j job) (body []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.c.Log.Error().Str("command", e.name).Stringer("command_id", id).
				Bytes("stack", debug.Stack()).Msg("command panicked")
			err = errors.New("panic")
		}
	}()
	body, err = j.run(ctx)
	if code := commands.CodeOf(err); code == commands.CodeInternal || code == commands.CodeOutcomeUnknown || code == commands.CodeUnavailable {
		s.c.Log.Error().Str("command", e.name).Stringer("command_id", id).Stringer("code", code).Err(err).
			Msg("command not carried out")
	}
	return body, err
}

// answer sends the reply of an accepted command, not before the floor (N3).
func (s *Service) answer(e *endpoint, arrived time.Time, reply string, id uuid.UUID, body []byte, err error) {
	m := &nats.Msg{Subject: reply, Data: body}
	if err != nil {
		e.failed.Add(1)
		m = errorReply(reply, id, err)
	}
	send := func() {
		e.answered.Add(1)
		e.took.Add(int64(time.Since(arrived)))
		if reply != "" { // N6
			s.logReplyError(s.c.Conn.PublishMsg(m))
		}
	}
	if due := arrived.Add(s.c.ReplyFloor); time.Until(due) > 0 {
		s.pacer.held <- heldReply{due, send}
		return
	}
	send()
}

func (s *Service) logReplyError(err error) {
	if err != nil {
		s.c.Log.Warn().Err(err).Msg("reply not sent; the caller repeats with the same command_id")
	}
}

// drain stops accepting, then waits for the accepted commands and their replies (N5).
func (s *Service) drain(service micro.Service) error {
	err := errors.Join(service.Stop(), s.finish())
	return errors.Join(err, s.c.Conn.FlushTimeout(time.Second))
}

// finish closes the queue and waits until the accepted commands have run and are answered.
func (s *Service) finish() error {
	done := make(chan struct{})
	go func() { // ends with the last command, which has a timeout of its own, and its reply
		_ = s.c.Queue.Close(context.Background()) //nolint:errcheck // it only tells how the context ended
		close(s.pacer.held)
		<-s.pacer.done
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(s.c.DrainTimeout):
		return errors.New("nats service: commands were still running when the time to drain was over")
	}
}

// Stats of an endpoint, as `nats micro stats` shows them under data.
type Stats struct {
	Accepted    uint64 `json:"accepted"`
	Answered    uint64 `json:"answered"`
	Failed      uint64 `json:"failed"`
	Shed        uint64 `json:"shed"`       // refused unread, because too many failed
	AverageUS   int64  `json:"average_us"` // from arrival to reply
	QueueLength int    `json:"queue_length"`
	QueueLimit  int    `json:"queue_limit"`
}

func (s *Service) statsOf(e *micro.Endpoint) any {
	st := s.endpoints[e.Name]
	if st == nil {
		return nil
	}
	out := Stats{
		Accepted: st.accepted.Load(), Answered: st.answered.Load(), Failed: st.failed.Load(), Shed: st.shed.Load(),
		QueueLength: s.c.Queue.Pending(), QueueLimit: s.c.Queue.Limit(),
	}
	if out.Answered > 0 {
		out.AverageUS = st.took.Load() / int64(out.Answered) / 1000 //nolint:gosec // far below 2^63
	}
	return out
}
