"""The conformance kit: proves that a driver does what the ports promise.

=============================  ==================================================================
`target`                       what a driver's author gives: how to connect, where to look
`requirements`, `case`         what is promised, and the cases that test it, in `suites`
`lab`, `parts`                 where a case works, and what it undoes at the end
`expect`, `reading`            what it demands, also of disks
`engine`, `results`            runs cases, and the records of what happened
`testing`                      the cases as tests of pytest
=============================  ==================================================================

How to use it is in docs/conformance.md.
"""
