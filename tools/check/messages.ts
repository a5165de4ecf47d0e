/** What a test process tells the check that runs it, over the channel between the two. */
export type TestMessage =
  | { kind: 'passed' }
  | { kind: 'skipped'; name: string; reason: string | undefined }
  | { kind: 'failed'; name: string; detail: string }
  /** Every test known so far has ended: from now on the process should end too, unless more tests come. */
  | { kind: 'idle' }
  | { kind: 'busy' }
  /** Only with --grep: no test has matched, or all that did have ended. */
  | { kind: 'over' }
