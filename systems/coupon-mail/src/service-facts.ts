/** What a process with an HTTP server tells of itself. */
export interface ServiceFacts {
  readonly port: number
  readonly url: string
}
