export { createSocketServer } from './socket-server.js'
