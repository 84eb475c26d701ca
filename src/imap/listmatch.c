#include "imap/listmatch.h"

/* Two places to go back to: the last "%" swallows one byte more, unless that is "/"; then the last "*" does. A "%"
 * before the last "*" need not be tried again, since the "*" could take what it would. */
bool imap_list_match(struct view pattern, struct view path)
{
    struct view star_pattern = {0}, star_path = {0}, part_pattern = {0}, part_path = {0};
    bool has_star = false, has_part = false;

    for (;;) {
        if (view_take_chr(&pattern, '*')) {
            has_star = true;
            has_part = false;
            star_pattern = pattern;
            star_path = path;
        } else if (view_take_chr(&pattern, '%')) {
            has_part = true;
            part_pattern = pattern;
            part_path = path;
        } else if (path.n > 0 && pattern.n > 0 && pattern.p[0] == path.p[0]) {
            view_skip(&pattern, 1);
            view_skip(&path, 1);
        } else if (path.n == 0 && pattern.n == 0) {
            return true;
        } else if (has_part && part_path.n > 0 && part_path.p[0] != '/') {
            view_skip(&part_path, 1);
            pattern = part_pattern;
            path = part_path;
        } else if (has_star && star_path.n > 0) {
            has_part = false;
            view_skip(&star_path, 1);
            pattern = star_pattern;
            path = star_path;
        } else {
            return false;
        }
    }
}
