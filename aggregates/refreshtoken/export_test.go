package refreshtoken

// The ends of the closed sets, for the walk over them.
const (
	MinReason, MaxReason   = minReason, maxReason
	MinRefusal, MaxRefusal = minRefusal, maxRefusal
	MinKind, MaxKind       = minKind, maxKind
)
