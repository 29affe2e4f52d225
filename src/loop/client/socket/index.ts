export {
  createLoopSocket,
  type EmitOptions,
  type LoopSocket,
  type LoopSocketHandler,
  type LoopSocketOptions,
} from './socket.js'
