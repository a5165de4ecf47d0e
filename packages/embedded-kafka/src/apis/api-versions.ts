/*
 * ApiVersions (key 18), versions 0-4. KIP-511.
 * An unknown version is answered with error 35 in the form of version 0, and the connection stays open.
 * Gaps: no feature tags; without transaction.version in them, Java clients use the older way of transactions.
 */
import { errorCodes } from '../wire/error-codes.ts'
import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'

/** ApiVersions tells what all other handlers of the list serve, so it is made from the list. */
export function createApiVersions(others: readonly ApiHandler[]): ApiHandler {
  const handler: ApiHandler = defineApi({
    key: 18,
    name: 'ApiVersions',
    minVersion: 0,
    maxVersion: 4,
    flexibleFrom: 3,
    negotiates: true,
    // The request names the client's software and version, which nothing here depends on. Of a version that is not
    // known nobody can say what it has.
    read(request, version) {
      if (version < 0 || version > handler.maxVersion) request.raw(request.remaining)
      if (version >= 3 && version <= handler.maxVersion) {
        request.string()
        request.string()
        request.tags()
      }
    },
    serve:
      (_request, { version }) =>
      (response) => {
        const served = version >= 0 && version <= handler.maxVersion
        response.int16(served ? errorCodes.NONE : errorCodes.UNSUPPORTED_VERSION)
        response.array(offered, (api) => {
          response.int16(api.key)
          response.int16(api.advertisedMinVersion ?? api.minVersion)
          response.int16(api.maxVersion)
          response.tags()
        })
        if (served && version >= 1) response.int32(0)
        if (served) response.tags()
      },
  })
  const offered = [...others, handler].toSorted((one, other) => one.key - other.key)
  return handler
}
