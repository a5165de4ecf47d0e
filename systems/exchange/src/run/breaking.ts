/** Breaks things while the load runs: faults in the account services, kills, and one service that is down for a while. */
import { JsonClient } from '@milena/hosting'
import { setTimeout as sleep } from 'node:timers/promises'
import { faultless, type Behaviour } from '../account/behaviour.ts'
import { accountServices, type AccountService } from '../operations.ts'
import { services, type ExchangeSystem, type Service } from '../system.ts'

export interface BreakingOptions {
  readonly exchanges: number
  readonly kills: number
  /** In seconds; 0: none is down. */
  readonly down: number
  readonly calm: boolean
  readonly defect: boolean
}

export interface Broken {
  readonly kills: Record<Service, number>
  /** Kills that are still to come, since everything was away already. */
  owed: number
  /** Milliseconds that a service was down, if one was. */
  downFor: number
}

/** What goes wrong in both account services. */
const faulty: Behaviour = {
  refused: 0.03,
  lost: 0.02,
  late: 0.02,
  lateMs: 2_500,
  busy: 0.02,
  cancelFlaky: 0.1,
  cancelBroken: 0.04,
  cancelSkipped: 0,
}

/** Which service is down, from which share of the load on. */
const downService: AccountService = 'fx-account'
const downFrom = 0.15
/** The share of kills that take whatever process is there, also one that is just starting, or recovering. */
const killedEarly = 0.1
/** Milliseconds before it goes, in which its answers are lost: what it has done then is undone when it is back. */
const losesAnswersFor = 700

export class Breaking {
  readonly broken: Broken = { kills: { exchange: 0, 'krw-account': 0, 'fx-account': 0 }, owed: 0, downFor: 0 }
  readonly #system: ExchangeSystem
  readonly #options: BreakingOptions
  readonly #behaviours: Record<AccountService, Behaviour>
  #downPeriod: Promise<void> | undefined
  #killsBegun = 0

  constructor(system: ExchangeSystem, options: BreakingOptions) {
    this.#system = system
    this.#options = options
    const usual = options.calm ? faultless : faulty
    this.#behaviours = {
      'krw-account': options.defect ? { ...usual, cancelSkipped: 1 } : usual,
      'fx-account': usual,
    }
  }

  /** What is wrong at the moment, for the progress line. */
  get now(): string {
    const away = services.filter((service) => !this.#system.isUp(service))
    return away.length === 0 ? 'all are up' : `away: ${away.join(', ')}`
  }

  async begin(): Promise<void> {
    await Promise.all(accountServices.map((service) => this.#behave(service, this.#behaviours[service])))
  }

  /** To be called before each exchange, with how many were sent. */
  advance(sent: number): void {
    const { exchanges, kills, down } = this.#options
    if (down > 0 && sent >= exchanges * downFrom && this.#downPeriod === undefined) {
      this.#downPeriod = this.#takeDown(down * 1_000)
      // `end` tells it.
      this.#downPeriod.catch(() => {})
    }
    while (
      this.#killsBegun < Math.floor(((sent + 1) * (kills + 1)) / (exchanges + 1)) &&
      this.#killsBegun < kills
    ) {
      this.#killsBegun++
      this.broken.owed++
    }
    this.#kill()
  }

  /** Pays what is owed, waits for who is down, and has nothing more go wrong; a defect stays. */
  async end(): Promise<void> {
    await this.#downPeriod
    while (this.broken.owed > 0) {
      this.#kill()
      await sleep(100)
    }
    const { cancelSkipped } = this.#behaviours['krw-account']
    await this.#behave('krw-account', { ...faultless, cancelSkipped })
    await this.#behave('fx-account', faultless)
  }

  #kill(): void {
    const early = Math.random() < killedEarly
    const up = services.filter((service) =>
      early ? this.#system.isThere(service) : this.#system.isUp(service),
    )
    if (this.broken.owed === 0 || up.length === 0) return
    const victim = up[Math.floor(Math.random() * up.length)]!
    this.broken.owed--
    this.broken.kills[victim]++
    this.#system.kill(victim)
  }

  async #takeDown(duration: number): Promise<void> {
    const usual = this.#behaviours[downService]
    if (!this.#options.calm) {
      void this.#behave(downService, { ...usual, lost: 1 })
      await sleep(losesAnswersFor)
    }
    const began = performance.now()
    this.#system.setBehaviour(downService, usual)
    await this.#system.takeDown(downService)
    await sleep(duration)
    await this.#system.bringUp(downService)
    this.broken.downFor = performance.now() - began
  }

  /** Tells the one that runs, as soon as it answers, and the next one that starts. */
  async #behave(service: AccountService, behaviour: Behaviour): Promise<void> {
    this.#system.setBehaviour(service, behaviour)
    const client = new JsonClient(this.#system.urlOf(service), 1)
    try {
      const call = { method: 'PUT', path: '/behaviour', body: behaviour, timeout: 5_000 } as const
      for (;;) {
        const answer = await client.call(call).catch(() => undefined)
        if (answer?.status === 200 || this.#system.behaviourOf(service) !== behaviour) return
        await sleep(100)
      }
    } finally {
      client.close()
    }
  }
}
