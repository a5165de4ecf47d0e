/**
 * What the benchmark measures: a way to ask another process something. A new system is one file in `systems/` and a
 * line in `systems/index.ts`.
 */
import type { BlockPlan, BlockResult, Profile, ProfileKind } from './side/protocol.ts'

/** What a situation varies. The ladder uses `usualSetting`. */
export interface Setting {
  /** Bytes of each request and of each reply. */
  readonly payloadBytes: number
  /** Of the request topic. */
  readonly partitions: number
  /** Of the reply topic. */
  readonly replyPartitions: number
  /** Requesters in the asking process, which take turns. */
  readonly requesters: number
  /** Operations on the one replier; requests take turns. */
  readonly operations: number
  /** Milliseconds that the handler takes; 0 answers at once. */
  readonly handlerMilliseconds: number
}

export const usualSetting: Setting = {
  payloadBytes: 200,
  partitions: 3,
  replyPartitions: 3,
  requesters: 1,
  operations: 1,
  handlerMilliseconds: 0,
}

/** What each side is told when it is started. */
export interface SidePlan {
  readonly system: string
  readonly side: 'asker' | 'answerer'
  /** Kafka's, for systems on Kafka. */
  readonly brokers: readonly string[]
  /** Existing topics of this pair alone; systems without Kafka take them as names. */
  readonly topics: { readonly requests: string; readonly replies: string }
  readonly setting: Setting
  /** What the answerer said where it is, for the asker; empty otherwise. */
  readonly address: string
}

export interface BenchSystem {
  /** As the tables name it. */
  readonly name: string
  /** What an acknowledged message outlives. Systems of different classes are not compared without saying so. */
  readonly durability: 'durable' | 'not durable' | 'no broker'
  /** What carries the messages: the brokers of the run, a server on this port of 127.0.0.1, or nothing. */
  readonly server: 'kafka' | 'none' | number
  /** Milliseconds of load before it is measured, where the run's own (3 000) are too few. */
  readonly warmUp?: number
  /** Why it cannot run here, such as a missing toolchain; undefined when it can. A server that is missing is seen without. */
  missing?(): Promise<string | undefined>
  /** Of a server of its own. */
  serverVersion?(): Promise<string>
  readonly sides: NodeSides | ForeignSides
}

/** Sides that run in a Node process of ours, `side/main.ts`. */
export interface NodeSides {
  /** Opens the asking side; it must be able to receive when it resolves. */
  openAsker(plan: SidePlan): Promise<Asker>
  /** Opens the answering side, which echoes the payload; it must be reading when it resolves. */
  openAnswerer(plan: SidePlan): Promise<Answerer>
}

/** Sides that are programs of their own, which somebody else's client runs in. */
export interface ForeignSides {
  /** Resolves when the side can be used. */
  start(plan: SidePlan): Promise<Side>
}

/** A side as the run has it: a process that takes orders. */
export interface Side {
  /** Whose processor time and memory count. */
  readonly pid: number
  /** For the asker's plan; empty where it needs none. */
  readonly address: string
  /** Of an asker: carries out a block. Rejects when the process ends. */
  block(plan: BlockPlan): Promise<BlockResult>
  /** Of an asker that counts it: `Asker.egress`. */
  egress(): Promise<Egress>
  /** Of an asker that can: `Asker.scale`. */
  scale(requesters: number): Promise<void>
  /** Of a side in Node: what it does from now on is sampled. */
  startProfile?(kind: ProfileKind): Promise<void>
  stopProfile?(): Promise<Profile>
  /** Ends the process; never rejects. */
  close(): Promise<void>
}

/** Bytes read from reply topics, and those of them that were replies to this side. */
export interface Egress {
  readonly bytesRead: number
  readonly ownBytesRead: number
}

export interface Answerer {
  /** For the asker's plan, where it needs one. */
  readonly address?: string
  close(): Promise<void>
}

export interface Asker {
  /**
   * One round trip. Rejects when the reply is not the payload; an error whose name or code says timeout or
   * overloaded is counted as that. Resolves with the milliseconds of it that are not to count, if there are any:
   * time that somebody took who is not measured.
   */
  ask(): Promise<number | void>
  egress?(): Egress
  /** Opens or closes requesters until there are so many, under load. */
  scale?(requesters: number): Promise<void>
  close(): Promise<void>
}
