/** Relative, without `..`, and not the folder itself. */
export function isInnerPath(path: string): boolean {
  if (path === '' || path.length > 1000 || path.startsWith('/') || path.includes('\\') || path.includes('\0'))
    return false
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  return parts.length > 0 && !parts.includes('..')
}
