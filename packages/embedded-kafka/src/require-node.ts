/** Loaded before anything else, so that a Node that is too old is named, and not what it happens to lack. */
import { nodeProblem } from './node-version.ts'

if (nodeProblem !== undefined) throw new Error(nodeProblem)
