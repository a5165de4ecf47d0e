/** Gives coupons, each at its own time, however long the others take. */
import type { HttpAnswer, JsonClient } from '@milena/hosting'
import { exponential } from '@milena/request-reply'
import { setTimeout as sleep } from 'node:timers/promises'
import { unknownRecipients } from '../mailbox/smtp.ts'

export interface Load {
  readonly client: JsonClient
  readonly gifts: number
  /** A second. */
  readonly rate: number
  /** Of a hundred. */
  readonly refused: number
  readonly domain: string
  /** Called before each is given, with how many were. */
  readonly onGive: (given: number) => void
}

/** A gift as its giver knows it. */
export interface Given {
  readonly giftId: string
  readonly recipient: string
  /** Whether the SMTP server will refuse the address. */
  readonly isRefused: boolean
}

/** What givers were told. */
export interface Told {
  readonly accepted: Map<string, Given>
  /** Nobody answered in time, however often it was asked. */
  readonly unanswered: Map<string, Given>
  /** Times that a giver asked again, under the same id. */
  askedAgain: number
}

const couponIds = ['coffee', 'cake', 'book'] as const
/** Every fourth is a partner's. */
const partners = 4
/** Milliseconds that an answer is waited for before it is asked again, and altogether. */
const answerTimeout = 5_000
const patience = 60_000
const pauses = exponential({ first: 200, most: 2_000 })
/** Givers that wait; beyond that the load waits too. */
const mostOpen = 200

export async function runLoad(load: Load, told: Told): Promise<void> {
  const { client, gifts, rate, refused, domain, onGive } = load
  const open = new Set<Promise<void>>()
  const began = performance.now()
  for (let index = 0; index < gifts; index++) {
    const wait = began + (index * 1000) / rate - performance.now()
    if (wait > 1) await sleep(wait)
    if (open.size >= mostOpen) await Promise.race(open)
    onGive(index)
    const one = give(index).finally(() => open.delete(one))
    open.add(one)
  }
  await Promise.all(open)

  async function give(index: number): Promise<void> {
    const isRefused = Math.floor(((index + 1) * refused) / 100) > Math.floor((index * refused) / 100)
    const recipient = `${isRefused ? unknownRecipients : 'friend-'}${index}@${domain}`
    const given: Given = { giftId: `g-${index}`, recipient, isRefused }
    const body = {
      giftId: given.giftId,
      recipient,
      message: 'Enjoy it!',
      campaign: 'spring',
      partner: index % partners === 0,
    }
    const path = `/coupons/${couponIds[index % couponIds.length]}/gift`
    const began = performance.now()
    for (let tries = 1; performance.now() - began < patience; tries++) {
      const answer = await client
        .call({ method: 'POST', path, body, timeout: answerTimeout })
        .catch((): HttpAnswer | undefined => undefined)
      if (answer?.status === 202) return void told.accepted.set(given.giftId, given)
      told.askedAgain++
      await sleep(pauses(tries, Math.random))
    }
    told.unanswered.set(given.giftId, given)
  }
}
