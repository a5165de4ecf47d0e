/** The embedded broker as a child process: its entry file, and what it is told and tells. */
export interface BrokerConfig {
  readonly port: number
}

export interface BrokerFacts {
  readonly brokers: string
}

export const brokerEntry = new URL('main.ts', import.meta.url)
