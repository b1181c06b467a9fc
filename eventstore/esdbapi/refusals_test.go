package esdbapi_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/genproto/googleapis/rpc/code"

	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

// batched is what the server says to an append of one event by BatchAppend.
func (r *rig) batched(t *testing.T, stream string) code.Code {
	t.Helper()
	c := r.batch(t, within(t))
	if err := c.Send(batchOf(stream, 1)); err != nil {
		t.Fatal(err)
	}
	a, err := c.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return code.Code(a.GetError().GetCode())
}

// Ensure that nothing takes events of logoutd's own streams away, whoever asks, and that their metadata is nobody's to write.
func TestProtectedStreamsCannotBeTakenAway(t *testing.T) {
	t.Parallel()
	const denied = "PermissionDenied access-denied"
	r := serve(t)
	r.seed(t, "refreshToken-1", 3)
	for _, stream := range []string{"refreshToken-1", "refreshToken-new", "$$refreshToken-1", "$all"} {
		for _, tombstone := range []bool{false, true} {
			if got, _ := r.ends(t, tombstone, stream, -2); got != denied {
				t.Errorf("end of %s, tombstone %t: %s", stream, tombstone, got)
			}
		}
	}
	for _, stream := range []string{"$$refreshToken-1", "$$refreshToken-new", "$all"} {
		if got := r.appended(t, stream, expectsAny, proposal(nil)); got != denied {
			t.Errorf("append to %s: %s", stream, got)
		}
		if got := r.batched(t, stream); got != code.Code_PERMISSION_DENIED {
			t.Errorf("batch to %s: %s", stream, got)
		}
	}
	var m esdb.StreamMetadata
	m.SetTruncateBefore(2)
	if _, err := r.client(t).SetStreamMetadata(within(t), "refreshToken-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, m); err == nil {
		t.Error("the official client sets the metadata of a protected stream")
	}
	r.put(t, "$$refreshToken-1", "$metadata", `{"$tb":99}`) // however it came there
	messages, _, err := r.readRaw(t, readReq("refreshToken-1"))
	if got := said(messages, false); err != nil || got != "0 1 2" {
		t.Errorf("the stream reads %q, %v", got, err)
	}
}

// Ensure that a server which is not told otherwise changes nothing, by no method, and reads all the same.
func TestAServerIsReadOnlyByDefault(t *testing.T) {
	t.Parallel()
	const denied = "PermissionDenied access-denied"
	r := serve(t, func(c *esdbapi.Config) { c.AllowAppend = false })
	r.seed(t, "s", 2)
	for _, stream := range []string{"s", "new", "$$s"} {
		for name, got := range map[string]string{
			"append":         r.appended(t, stream, expectsAny, proposal(nil), proposal(nil)),
			"append nothing": r.appended(t, stream, expectsAny),
		} {
			if got != denied {
				t.Errorf("%s to %s: %s", name, stream, got)
			}
		}
		if got := r.batched(t, stream); got != code.Code_PERMISSION_DENIED {
			t.Errorf("batch to %s: %s", stream, got)
		}
		for _, tombstone := range []bool{false, true} {
			if got, _ := r.ends(t, tombstone, stream, -2); got != denied {
				t.Errorf("end of %s, tombstone %t: %s", stream, tombstone, got)
			}
		}
	}
	_, err := r.client(t).AppendToStream(within(t), "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event("T", "{}"))
	if e, _ := esdb.FromError(err); e == nil || e.Code() != esdb.ErrorCodeAccessDenied {
		t.Errorf("the official client says %v", err)
	}
	messages, _, err := r.readRaw(t, readReq("", ofAll))
	if got := said(messages, true); err != nil || got != "1 2" {
		t.Errorf("all reads %q, %v", got, err)
	}
}
