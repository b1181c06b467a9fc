// Package activetokenstest is the suite that every adapter of the read model passes. A clause
// is named by the rule of package activetokens (A…) or projections (P…) that it proves; the suite
// is itself proved against read models that break them.
package activetokenstest
