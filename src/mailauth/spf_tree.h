/* mailauth/spf_tree: what an SPF record asks of the DNS, whoever the client is (RFC 7208 §4.6.4): every include and redirect
 * followed, every look-up counted, for those who publish one. A resolver in, a tree out. Blocks on the resolver until the
 * deadline; any thread. */
#ifndef MAILAUTH_SPF_TREE_H
#define MAILAUTH_SPF_TREE_H

#include "mailauth/spf.h"

#define SPF_TREE_NODES_MAX 300 /* terms shown; records looked at are fewer */
#define SPF_TREE_DEPTH_MAX 10

struct spf_node {
    struct spf_node *next; /* in the order of evaluation */
    unsigned depth;
    struct view domain;  /* whose record */
    struct view term;    /* as written; empty: a remark on the whole record */
    bool is_lookup;      /* counts towards SPF_LOOKUPS_MAX */
    struct view problem; /* in words; empty: none */
    struct view asked;   /* of a and mx: the name whose addresses or hosts they mean; empty where it depends on the client */
    bool asks_mx;
};
struct spf_tree {
    enum dns_status status; /* of the domain's own TXT records */
    size_t n_records;       /* SPF records at the domain: there may be one */
    struct view record;     /* where there is one */
    struct spf_node *nodes;
    unsigned lookups;       /* that a client which matches nothing causes: the worst case */
    unsigned problems;
    bool cut;               /* beyond our limits; or a macro hides what will be asked */
    struct view all;        /* the term that ends it ("-all"), of the redirect's target where there is one; empty: none */
};
/* RC_TEMP: no memory. */
enum rc spf_tree(struct dns *dns, struct view domain, int64_t deadline_ms, struct arena *a, struct spf_tree *out);

#endif
