//go:build race

package backup_test

// raced says that the race detector is on, which makes everything here five to ten times slower.
const raced = true
