/**
 * What a broker speaks (KIP-35, KIP-511): the one API whose answers have the old header, and whose refusal of a version
 * (35) comes in the form of version 0.
 */
import type { Api } from './api.ts'
import { kafka } from './error-codes.ts'
import type { Reader } from './reader.ts'

export interface ApiVersionsRequest {
  /** Letters, digits, `-` and `.`; a broker refuses others. */
  readonly software: string
  readonly softwareVersion: string
}

export interface ApiVersionsAnswer {
  readonly errorCode: number
  readonly ranges: readonly ApiRange[]
}

/** Versions of one API. */
export interface ApiRange {
  readonly key: number
  readonly oldest: number
  readonly newest: number
}

export const apiVersions: Api<ApiVersionsRequest, ApiVersionsAnswer> = {
  name: 'ApiVersions',
  key: 18,
  versions: { oldest: 0, newest: 3 },
  flexibleFrom: 3,
  throttledFrom: Infinity, // it stands at the end
  write(to, { software, softwareVersion }, version) {
    if (version < 3) return
    to.text(software).text(softwareVersion).tags()
  },
  read(from, version) {
    const errorCode = from.int16()
    if (errorCode === kafka.unsupportedVersion) return { errorCode, ranges: [] }
    const ranges = from.array(readRange)
    if (version >= 1) from.throttle = from.int32()
    return { errorCode, ranges }
  },
}

function readRange(from: Reader): ApiRange {
  const range = { key: from.int16(), oldest: from.int16(), newest: from.int16() }
  from.tags()
  return range
}
