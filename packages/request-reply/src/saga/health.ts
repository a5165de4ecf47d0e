export interface SagaHealth {
  readonly state: 'new' | 'running' | 'closing' | 'closed'
  /** Sagas that this process is working on. */
  readonly working: number
  /** Calls of `run` whose saga has not ended, and whose outcome somebody here may be waiting for. */
  readonly runs: number
  /** What the store refuses, and since when, in milliseconds since the Unix epoch; it is tried again with a pause. */
  readonly trouble: { readonly since: number; readonly message: string } | undefined
}
