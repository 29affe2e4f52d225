export { LoopRefusedError, SeatBusyError } from './errors.js'
export { type NodeIdentity, readIdentities } from './identity.js'
export { createLoopNode, type LoopNode, type NodeRole, type StatusCause } from './loop-node.js'
export {
  createNodeHttp,
  createSwitchServer,
  type NodeHttpRules,
  type NodeSwitches,
  registerNodeSwitches,
  toOnOff,
} from './node-http.js'
