export { startRedisServer } from './redis-server.js'
