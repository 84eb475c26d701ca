import file from '../logo.svg';

/** Our mark; beside it stands the name, so it is silent. */
export const Logo = ({ size }) => <img src={new URL(file, import.meta.url).href} alt="" width={size} height={size} />;
