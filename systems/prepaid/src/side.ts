/** Entry: one side as a process of its own. */
import { explainBrokers, runChild } from '@milena/hosting'
import { openReplier } from './replier.ts'
import { openRequester } from './requester.ts'

export interface SideConfig {
  readonly role: 'requester' | 'replier'
  readonly brokers: string
  readonly port: number
  readonly prefix: string
}

export interface SideFacts {
  /** The requester's. */
  readonly url: string | undefined
}

runChild(async ({ role, brokers, port, prefix }: SideConfig) => {
  const list = brokers.split(',')
  const opening: Promise<{ readonly url?: string; close(): Promise<void> }> =
    role === 'requester' ? openRequester(list, port, prefix) : openReplier(list, prefix)
  const side = await explainBrokers(brokers, opening)
  const facts: SideFacts = { url: side.url }
  return { facts, close: () => side.close() }
})
