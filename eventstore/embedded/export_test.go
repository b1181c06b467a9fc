package embedded

// OpenFS opens a store on a file system of the test's own.
var OpenFS = open //nolint:gochecknoglobals // a name for tests, not state
