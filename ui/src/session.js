/* Who is logged in. Rights rise: user, owner, operator. */
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';

const RANKS = { user: 1, owner: 2, operator: 3 };
export const may = (account, right) => (RANKS[account?.role] ?? 0) >= RANKS[right];
export const Session = createContext(null);
/** {account, setAccount, refresh, logOut} */
export const useSession = () => useContext(Session);
