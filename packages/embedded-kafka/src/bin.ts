#!/usr/bin/env node
/** The command `embedded-kafka`. The broker is loaded by name, so that a Node that is too old gets one line. */
import { nodeProblem } from './node-version.ts'

if (nodeProblem === undefined) {
  await import('./main.ts')
} else {
  console.error(nodeProblem)
  process.exitCode = 1
}
