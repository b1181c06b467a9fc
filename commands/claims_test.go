package commands_test

import (
	"testing"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/claims"
	"github.com/logoutd/logoutd/eventstore/eventstoretest"
)

// overClaims begins the names of the tests that newHouse gives the other store to.
const overClaims = "TestOverClaims/"

// claimedStore opens a store that knows ids per stream only, with the claims that make up for it.
func claimedStore(t testing.TB) func() eventstore.Store {
	t.Helper()
	below := eventstoretest.NewPerStream()
	return func() eventstore.Store {
		below.Reopen()
		store, err := claims.New(below, claims.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
}

// TestOverClaims proves the promises that rest on E6 and E7 over a store which, like EventStoreDB, keeps
// neither, with claims in between: repeats, command ids used twice, faults, rivals and crashes.
func TestOverClaims(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"logout":                   TestNEW1ALogoutLeavesOneRevocationAndOneSuccess,
		"every refusal":            TestNEW2EveryRefusalNamesItsReasonAndRevokesNothing,
		"repeated logout":          TestNEW3ARepeatedLogoutGetsTheFirstReceiptForEver,
		"many logouts":             TestNEW4OfManyLogoutsOfOneTokenOneSucceeds,
		"logout and rotation":      TestNEW5NoSuccessorSurvivesALogoutThatRacesWithARotation,
		"store is down":            TestNEW8AStoreThatIsDownIsNoSuccess,
		"decisions":                TestTheDecisionTableOfLogoutUser,
		"repeated issue":           TestARepeatedIssueGetsTheSameSession,
		"repeated registration":    TestARepeatedRegistrationGetsTheSameSession,
		"refusal is final":         TestARefusalIsFinalForItsCommand,
		"looked up too early":      TestARepeatThatLookedUpTooEarlyLooksAgain,
		"one command":              TestACommandIDIsForOneCommand,
		"one user":                 TestACommandIDIsForOneUser,
		"one kind of command":      TestACommandIDOfAnotherKindOfCommandIsRefused,
		"no id twice":              TestNoEventIDIsStoredTwice,
		"faults":                   TestNoFaultOfTheStoreIsToldAsASuccess,
		"conflict on the repeat":   TestAConflictOnTheRepeatDecidesAgain,
		"conflict":                 TestAConflictDecidesAgain,
		"cancelled":                TestACancelledCommandDoesNothing,
		"cancelled under way":      TestACommandThatIsCancelledWhileAppendingIsToldTheTruth,
		"repeat without a check":   TestARepeatThatCannotBeCheckedIsUnknown,
		"interrupted registration": TestAnInterruptedRegistrationIsFinishedByItsRepeat,
		"taken over":               TestAnInterruptedRegistrationIsTakenOverByAnotherCommand,
		"delivered twice":          TestARegistrationDeliveredTwiceAtOnceHasOneSession,
		"own first run":            TestARegistrationKeepsTheSessionOfItsOwnFirstRun,
		"other run":                TestARegistrationKeepsWhatItsOtherRunTookOver,
		"lost answers":             TestALostAnswerOfEitherAppendOfARegistrationIsResolved,
		"revoked for good":         TestARevokedTokenCannotBeRegisteredAgain,
		"simulation":               TestSimulation,
	} {
		t.Run(name, test)
	}
}
