// Package top draws what a running balancer does as a screen of text, and reads the keys that a person presses.
//
//	Sample (status, names) ──▶ View.Add ──▶ rates, from the last two ──▶ View.Lines ──▶ Terminal.Draw
//	bytes of a terminal    ──▶ Keys.Read ──▶ View.Press
//
// A View holds two samples and no more, whatever names arrive; a sample is as large as the API allows. What it draws is
// printable ASCII, cut to the width of the terminal. Nothing here knows where samples come from.
package top
