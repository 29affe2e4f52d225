export { createLogger, type Logger, maskPasswords, silentLogger } from './logger.js'
