export { openThreadPool, threadFileBeside } from './thread-pool.js'
