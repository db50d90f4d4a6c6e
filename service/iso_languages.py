"""ISO 639: which two-letter code (639-1) a three-letter or older code of a language stands for.

Knows codes. Must not know what is served, scripts or regions.

Where a two-letter code is that of a macrolanguage, the standard or by far the largest member stands for it
too (`arb` Standard Arabic for `ar`, `pes` Iranian Persian for `fa`): models name the member. Other members
(`ary` Moroccan Arabic) keep their own code. Source: the code tables of ISO 639-3's registration authority.
"""

from __future__ import annotations

_TABLE = """
aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara,arb as:asm av:ava ay:aym,ayr az:aze,azj ba:bak
be:bel bg:bul bi:bis bm:bam bn:ben bo:bod br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces cu:chu
cv:chv cy:cym da:dan de:deu,ger dv:div dz:dzo ee:ewe el:ell,gre en:eng eo:epo es:spa et:est,ekk eu:eus
fa:fas,pes ff:ful,fuv fi:fin fj:fij fo:fao fr:fra,fre fy:fry ga:gle gd:gla gl:glg gn:grn,gug gu:guj gv:glv
ha:hau he:heb,iw hi:hin ho:hmo hr:hrv ht:hat hu:hun hy:hye hz:her ia:ina id:ind,in ie:ile ig:ibo ii:iii
ik:ipk io:ido is:isl it:ita iu:iku ja:jpn jv:jav,jw ka:kat kg:kon ki:kik kj:kua kk:kaz kl:kal km:khm kn:kan
ko:kor kr:kau,knc ks:kas ku:kur,kmr kv:kom kw:cor ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit
lu:lub lv:lav,lvs mg:mlg,plt mh:mah mi:mri mk:mkd ml:mal mn:mon,khk mr:mar ms:msa,zsm mt:mlt my:mya na:nau
nb:nob nd:nde ne:nep,npi ng:ndo nl:nld,dut nn:nno no:nor nr:nbl nv:nav ny:nya oc:oci oj:oji om:orm,gaz
or:ori,ory os:oss pa:pan pi:pli pl:pol ps:pus,pbt pt:por qu:que,quy rm:roh rn:run ro:ron,rum,mo ru:rus
rw:kin sa:san sc:srd sd:snd se:sme sg:sag si:sin sk:slk sl:slv sm:smo sn:sna so:som sq:sqi,als sr:srp ss:ssw
st:sot su:sun sv:swe sw:swa,swh ta:tam te:tel tg:tgk th:tha ti:tir tk:tuk tl:tgl,fil tn:tsn to:ton tr:tur
ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr ur:urd uz:uzb,uzn ve:ven vi:vie vo:vol wa:wln wo:wol xh:xho
yi:yid,ydd,ji yo:yor za:zha zh:zho,chi,cmn zu:zul
"""

_TWO_LETTERS = {
    other: two
    for entry in _TABLE.split()
    for two, _, others in [entry.partition(":")]
    for other in others.split(",")
}


def two_letters(language: str) -> str:
    """`de` for `deu`, in lower case; a code that has no two-letter one, or is one, stays what it is."""
    return _TWO_LETTERS.get(language, language)
