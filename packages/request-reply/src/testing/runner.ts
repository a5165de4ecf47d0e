/**
 * What a contract is run with. All of `node:test` is one; of vitest it is
 * `{ describe, test, before: beforeAll, after: afterAll, afterEach }`, with a `testTimeout` of 120 s or more.
 */
export interface TestRunner {
  readonly describe: (name: string, body: () => void) => unknown
  readonly test: (name: string, body: () => Promise<void>) => unknown
  /** Once, before the first test of the `describe` that it is called in. */
  readonly before: (hook: () => Promise<void>) => unknown
  /** Once, after its last. */
  readonly after: (hook: () => Promise<void>) => unknown
  /** After each of its tests. */
  readonly afterEach: (hook: () => Promise<void>) => unknown
}
