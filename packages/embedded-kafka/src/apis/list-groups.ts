import { errorCodes } from '../wire/error-codes.ts'
import type { Reader } from '../wire/reader.ts'
import { answerOf, defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'

/** Every group here follows the classic protocol. */
const groupType = 'Classic'

/**
 * ListGroups, versions 0–5: every group, from version 4 on with its state and only those in the states asked for, from
 * version 5 on likewise with its type (nothing asked for: all). No gaps.
 */
export const listGroups: ApiHandler = defineApi({
  key: 16,
  name: 'ListGroups',
  minVersion: 0,
  maxVersion: 5,
  flexibleFrom: 3,
  read(request, version) {
    const states = new Set(version >= 4 ? request.array(readName) : [])
    const types = new Set(version >= 5 ? request.array(readName) : [])
    request.tags()
    return { states, types }
  },
  serve({ states, types }, { broker, version }) {
    const groups = broker.groups
      .list()
      .filter(({ state }) => isWanted(states, state) && isWanted(types, groupType))
    return answerOf(groups.length, function* (response) {
      if (version >= 1) response.int32(0)
      response.int16(errorCodes.NONE)
      yield* response.arrayInTurns(groups, (group) => {
        response.string(group.groupId)
        response.string(group.protocolType)
        if (version >= 4) response.string(group.state)
        if (version >= 5) response.string(groupType)
        response.tags()
      })
      response.tags()
    })
  },
})

function readName(reader: Reader): string {
  return reader.string().toLowerCase()
}

function isWanted(wanted: Set<string>, name: string): boolean {
  return wanted.size === 0 || wanted.has(name.toLowerCase())
}
