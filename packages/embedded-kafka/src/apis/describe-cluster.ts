/*
 * DescribeCluster (key 60), versions 0-1.
 * Gaps: controllers are no endpoints of their own (endpoint type 2 is refused); no authorized operations.
 */
import { errorCodes } from '../wire/error-codes.ts'
import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'

const brokerEndpoints = 1
const operationsNotAsked = -2_147_483_648

export const describeCluster: ApiHandler = defineApi({
  key: 60,
  name: 'DescribeCluster',
  minVersion: 0,
  maxVersion: 1,
  flexibleFrom: 0,
  read(request, version) {
    request.boolean()
    const endpointType = version >= 1 ? request.int8() : brokerEndpoints
    request.tags()
    return endpointType
  },
  serve:
    (endpointType, { broker, version }) =>
    (response) => {
      const known = endpointType === brokerEndpoints
      response.int32(0)
      response.int16(known ? errorCodes.NONE : errorCodes.INVALID_REQUEST)
      response.nullableString(known ? null : 'only brokers (endpoint type 1) can be described')
      if (version >= 1) response.int8(endpointType)
      response.string(broker.clusterId)
      response.int32(broker.controller.nodeId)
      response.array(known ? broker.nodes : [], (node) => {
        response.int32(node.nodeId)
        response.string(node.host)
        response.int32(node.port)
        response.nullableString(null)
        response.tags()
      })
      response.int32(operationsNotAsked)
      response.tags()
    },
})
